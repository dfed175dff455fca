/** What a file or an earlier version would change, row by row, before anything does; and what is wrong with a file. */
import { number, t, tOf } from "../i18n";
import { codeOf, faultOf, linkOf, meaningOf, ordersOf } from "./said";
import { nameOfKey, type Difference, type Key } from "./shapes";

const MOST_SHOWN = 100;

/** Say whether there is anything to do. */
export function changesOf(told: Difference): number {
  return told.added.length + told.changed.length + told.removed.length;
}

export function FaultList({ told }: { told: Difference }) {
  return (
    <div role="alert">
      <p>
        <strong>{t("mapping.not_taken", { n: told.faults.length })}</strong>
      </p>
      <ul class="steps faults" tabIndex={0} aria-label={t("mapping.faults")}>
        {told.faults.map((fault) => (
          <li key={`${fault.row}/${fault.column}/${fault.fault}`}>{faultOf(fault)}</li>
        ))}
      </ul>
    </div>
  );
}

export function DifferenceView({ told }: { told: Difference }) {
  const counts = { added: told.added.length, changed: told.changed.length, removed: told.removed.length };
  const lines = [
    ...told.added.map((row) => ({ key: row as Key, what: "added", said: meaningOf(row) })),
    ...told.changed.map(({ row, columns }) => ({
      key: row as Key,
      what: "changed",
      said: columns.map((one) => `${one.column}: ${one.before || "–"} → ${one.after || "–"}`).join(" · "),
    })),
    ...told.removed.map((row) => ({ key: row as Key, what: "removed", said: meaningOf(row) })),
  ];
  return (
    <div class="block" role="status">
      <p>
        <strong>{t("mapping.would", { ...counts, unchanged: number(told.unchanged) })}</strong>
      </p>
      {lines.length > 0 && <p class="quiet">{ordersOf(told)}</p>}
      <ul class="steps difference" tabIndex={0} aria-label={t("mapping.differences")}>
        {lines.slice(0, MOST_SHOWN).map(({ key, what, said }) => (
          <li key={nameOfKey(key)} class={`line-${what}`}>
            <span>
              <strong>{tOf("mapping.what", what)}</strong> {tOf("mapping.kind", key.kind)}{" "}
              <span class="code">{codeOf(key)}</span> · {linkOf(key)}
            </span>
            <span class="quiet">{said}</span>
          </li>
        ))}
      </ul>
      {lines.length > MOST_SHOWN && <p class="quiet">{t("mapping.more", { n: lines.length - MOST_SHOWN })}</p>}
    </div>
  );
}
