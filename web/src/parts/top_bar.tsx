/** The bar above: where one is, who one is, and the language. */
import { choose, LANGUAGES, language, t } from "../i18n";
import { follow, place } from "../router";
import { configuration, looksAfterLinks, mapsCodes, me, reconciles, signOut } from "../session";
import type { Me } from "../shapes";
import { openHelp } from "./help";

export function TopBar() {
  const reader = me.value;
  return (
    <header class="bar">
      <a class="mark" href="/" onClick={(event) => follow(event, "/")}>
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <circle cx="14" cy="14" r="8.5" /> <path d="M20.5 20.5l7 7M10 14.2l3 3 5-5.8" />
        </svg>
        Overread
      </a>
      {configuration.value?.is_demo && (
        <span class="demo" title={t("demo.means")}>
          {t("demo.mark")}
        </span>
      )}
      {reader && <Places />}
      <span class="gap" />
      {reader && !["ops", "links", "message", "mapping"].includes(place.value.page) && (
        <button class="plain" onClick={openHelp}>
          {t("help.open")} <kbd>?</kbd>
        </button>
      )}
      <label class="language">
        <span class="hidden">{t("language")}</span>
        <select value={language.value} onChange={(event) => choose(event.currentTarget.value)}>
          {LANGUAGES.map(({ code, name }) => (
            <option key={code} value={code} lang={code}>
              {name}
            </option>
          ))}
        </select>
      </label>
      {reader && (
        <>
          <span class="who">
            {[reader.family_name, reader.given_name].filter(Boolean).join(" ") || reader.subject}
          </span>
          <button class="plain" onClick={() => void signOut()}>
            {t("sign_out")}
          </button>
        </>
      )}
    </header>
  );
}

/** The pages that somebody may see; one alone needs no way to it. */
function Places() {
  const reader = me.value;
  if (!reader) return null;
  const pages = [
    { to: "/", word: "worklist.title", isHere: ["worklist", "case"].includes(place.value.page), is: reader.may_read },
    { to: "/desk", word: "desk.title", isHere: place.value.page === "desk", is: reconciles(reader) },
    { to: "/ops", word: "ops.title", isHere: place.value.page === "ops" || isFirst(reader), is: reader.operates },
    { to: "/links", word: "links.title", isHere: ["links", "message"].includes(place.value.page), is: looksAfterLinks(reader) },
    { to: "/mapping", word: "mapping.title", isHere: place.value.page === "mapping", is: mapsCodes(reader) },
  ] as const;
  const shown = pages.filter((page) => page.is);
  if (shown.length < 2) return null;
  return (
    <nav class="places" aria-label={t("nav")}>
      {shown.map((page) => (
        <a key={page.to} href={page.to} aria-current={page.isHere ? "page" : undefined} onClick={(event) => follow(event, page.to)}>
          {t(page.word)}
        </a>
      ))}
    </nav>
  );
}

/** Whether an operator who reads no studies stands at the beginning, which is then the page of operations. */
function isFirst(reader: Me): boolean {
  return !reader.may_read && place.value.page === "worklist";
}
