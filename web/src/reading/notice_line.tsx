/** What was refused, in words that say what to do next. */
import { t, tOf } from "../i18n";
import { notice } from "./state";

export function NoticeLine() {
  const now = notice.value;
  if (!now) return null;
  return (
    <div class="note note-warn" role="alert">
      <strong>{tOf("problem", now.kind, t("problem.other"))}</strong>
      <p>{tOf("problem.next", now.kind, t("problem.next.other"))}</p>
      {now.detail && (
        <p class="quiet" lang="en">
          {now.detail}
        </p>
      )}
    </div>
  );
}
