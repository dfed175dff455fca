/** The rows that count, found by any of their words; each is changed or taken out where it stands. */
import { useState } from "preact/hooks";
import { ask } from "../api";
import { t, tOf } from "../i18n";
import { announce } from "../parts/announcer";
import { codeOf, explain, linkOf, meaningOf } from "./said";
import { nameOfKey, type Difference, type Row } from "./shapes";

const MOST_SHOWN = 200;

interface Props {
  rows: Row[];
  version: number;
  onNew: () => void;
  onEdit: (row: Row) => void;
  onChanged: () => void;
}

export function RowTable({ rows, version, onNew, onEdit, onChanged }: Props) {
  const [wanted, setWanted] = useState("");
  const found = rows.filter((row) => isFound(row, wanted));
  const takeOut = async ({ kind, link, code, system }: Row) => {
    try {
      const removed = [{ kind, link, code, system }];
      await ask<Difference>("POST", "/mapping/change", { removed, base: version });
      announce(t("mapping.taken_out", { code }));
      onChanged();
    } catch (error) {
      explain(error);
    }
  };
  return (
    <div class="block">
      <div class="ops-head">
        <h2 id="rows">
          {t("mapping.rows")} <span class="count">{rows.length}</span>
        </h2>
        <label class="search">
          <span class="hidden">{t("mapping.search")}</span>
          <input
            type="search"
            placeholder={t("mapping.search")}
            value={wanted}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
        </label>
        <button onClick={onNew}>{t("mapping.new")}</button>
      </div>
      {!rows.length && <p class="quiet">{t("mapping.no_rows")}</p>}
      {found.length > 0 && (
        <div class="scrolls tall" tabIndex={0} role="region" aria-labelledby="rows">
          <table class="mapped">
            <thead>
              <tr>
                <th scope="col">{t("mapping.code")}</th>
                <th scope="col">{t("mapping.kind")}</th>
                <th scope="col">{t("mapping.link")}</th>
                <th scope="col">{t("mapping.meaning")}</th>
                <th scope="col">{t("mapping.change")}</th>
              </tr>
            </thead>
            <tbody>
              {found.slice(0, MOST_SHOWN).map((row) => (
                <tr key={nameOfKey(row)} data-code={row.code}>
                  <th scope="row" class="code">
                    {codeOf(row)}
                  </th>
                  <td>{tOf("mapping.kind", row.kind)}</td>
                  <td class="code">{linkOf(row)}</td>
                  <td>{meaningOf(row)}</td>
                  <td class="acts">
                    <button aria-label={`${t("mapping.change")} ${codeOf(row)}`} onClick={() => onEdit(row)}>
                      {t("mapping.change")}
                    </button>
                    <button
                      class="plain"
                      aria-label={`${t("mapping.take_out")} ${codeOf(row)}`}
                      onClick={() => void takeOut(row)}
                    >
                      {t("mapping.take_out")}
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {found.length > MOST_SHOWN && <p class="quiet">{t("mapping.more", { n: found.length - MOST_SHOWN })}</p>}
    </div>
  );
}

function isFound(row: Row, wanted: string): boolean {
  const words = [row.kind, row.link, row.code, row.system, row.to_code, row.to_system, row.vi, row.en, row.fr];
  const text = [...words, row.department, ...row.models].join(" ").toLocaleLowerCase();
  return text.includes(wanted.trim().toLocaleLowerCase());
}
