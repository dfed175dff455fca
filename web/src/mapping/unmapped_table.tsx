/** The codes that came and that no row names, the most frequent first; each is filled in where it stands. */
import { moment, number, t, tOf } from "../i18n";
import { codeOf, linkOf } from "./said";
import { nameOfKey, type Unmapped } from "./shapes";

export function UnmappedTable({ codes, onFillIn }: { codes: Unmapped[]; onFillIn: (code: Unmapped) => void }) {
  return (
    <div class="block">
      <h2 id="unmapped">
        {t("mapping.unmapped")} <span class="count">{codes.length}</span>
      </h2>
      {!codes.length && <p class="quiet">{t("mapping.all_mapped")}</p>}
      {codes.length > 0 && (
        <div class="scrolls tall" tabIndex={0} role="region" aria-labelledby="unmapped">
          <table class="unmapped">
            <thead>
              <tr>
                <th scope="col">{t("mapping.code")}</th>
                <th scope="col">{t("mapping.kind")}</th>
                <th scope="col">{t("mapping.example")}</th>
                <th scope="col">{t("mapping.link")}</th>
                <th scope="col" class="num">
                  {t("mapping.count")}
                </th>
                <th scope="col">{t("mapping.last_seen")}</th>
                <th scope="col">{t("mapping.fill_in")}</th>
              </tr>
            </thead>
            <tbody>
              {codes.map((code) => (
                <tr key={nameOfKey(code)} data-code={code.code}>
                  <th scope="row" class="code">
                    {codeOf(code)}
                  </th>
                  <td>{tOf("mapping.kind", code.kind)}</td>
                  <td>{code.example}</td>
                  <td class="code">{linkOf(code)}</td>
                  <td class="num">{number(code.count)}</td>
                  <td class="quiet">{moment(code.last_seen)}</td>
                  <td>
                    <button aria-label={`${t("mapping.fill_in")} ${codeOf(code)}`} onClick={() => onFillIn(code)}>
                      {t("mapping.fill_in")}
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
