/** The bar above: where one is, who one is, and the language. */
import { choose, LANGUAGES, language, t } from "../i18n";
import { follow, place } from "../router";
import { configuration, me, signOut } from "../session";
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
      {reader && place.value.page !== "ops" && (
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

function Places() {
  const reader = me.value;
  if (!reader?.operates || !reader.may_read) return null;
  const isOps = place.value.page === "ops";
  return (
    <nav class="places" aria-label={t("nav")}>
      <a href="/" aria-current={isOps ? undefined : "page"} onClick={(event) => follow(event, "/")}>
        {t("worklist.title")}
      </a>
      <a href="/ops" aria-current={isOps ? "page" : undefined} onClick={(event) => follow(event, "/ops")}>
        {t("ops.title")}
      </a>
    </nav>
  );
}
