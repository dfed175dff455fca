/** The links that orders came in on, and where each sender keeps the accession number: set in the links' file. */
import { t } from "../i18n";
import type { MappingView } from "./shapes";

export function LinkTable({ links }: { links: MappingView["links"] }) {
  return (
    <section class="block" aria-labelledby="places">
      <h2 id="places">{t("mapping.places")}</h2>
      {!links.length && <p class="quiet">{t("mapping.no_links")}</p>}
      <ul class="services">
        {links.map(({ link, accession_places }) => (
          <li key={link} class="service">
            <span class="code">{link}</span>
            <span class="quiet">
              {accession_places.length ? accession_places.join(" → ") : t("mapping.usual_places")}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
