/** What one sees before one is signed in. */
import { useEffect, useRef } from "preact/hooks";
import { t, tOf } from "./i18n";
import { configuration, signIn } from "./session";

export function SignInPage() {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => button.current?.focus(), []);
  const refused = new URLSearchParams(location.search).get("sign_in");
  return (
    <main class="calm">
      <div class="card sign-in">
        <h1>Overread</h1>
        <p class="lead">{t("sign_in.what")}</p>
        {refused && (
          <p class="note note-warn" role="alert">
            {tOf("sign_in.refused", refused, t("sign_in.refused.refused"))}
          </p>
        )}
        <button ref={button} class="primary large" onClick={() => signIn(location.pathname)}>
          {t("sign_in.do")}
        </button>
        {configuration.value?.is_demo && <p class="note">{t("demo.sign_in")}</p>}
        <p class="quiet">{t("sign_in.not_a_device")}</p>
      </div>
    </main>
  );
}
