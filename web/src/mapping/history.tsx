/** Every version: when, by whom, out of what; how far the orders follow; and the way back to it. */
import { useState } from "preact/hooks";
import { moment, number, t } from "../i18n";
import { RollbackDialog } from "./import_dialog";
import type { Version } from "./shapes";

export function History({ versions, onChanged }: { versions: Version[]; onChanged: () => void }) {
  const [asked, setAsked] = useState<number | null>(null);
  return (
    <div class="block">
      <h2 id="versions">{t("mapping.history")}</h2>
      {!versions.length && <p class="quiet">{t("mapping.no_history")}</p>}
      {versions.length > 0 && (
        <div class="scrolls tall" tabIndex={0} role="region" aria-labelledby="versions">
          <table class="versions">
            <thead>
              <tr>
                <th scope="col">{t("mapping.version")}</th>
                <th scope="col">{t("mapping.when")}</th>
                <th scope="col">{t("mapping.who")}</th>
                <th scope="col">{t("mapping.changes")}</th>
                <th scope="col">{t("mapping.followed")}</th>
                <th scope="col">{t("mapping.go_back")}</th>
              </tr>
            </thead>
            <tbody>
              {versions.map((one, at) => (
                <tr key={one.version} data-version={one.version}>
                  <th scope="row">{one.version}</th>
                  <td>{moment(one.made_at)}</td>
                  <td>{one.made_by}</td>
                  <td>{`+${one.added} ~${one.changed} −${one.removed}`}</td>
                  <td>{t(one.is_applied ? "mapping.told" : "mapping.being_told", { n: number(one.orders_told) })}</td>
                  <td>
                    {at > 0 && (
                      <button
                        aria-label={t("mapping.back_to", { n: one.version })}
                        onClick={() => setAsked(one.version)}
                      >
                        {t("mapping.go_back")}
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {asked !== null && (
        <RollbackDialog
          version={asked}
          onClose={() => setAsked(null)}
          onDone={() => {
            setAsked(null);
            onChanged();
          }}
        />
      )}
    </div>
  );
}
