/** What was done to the report, and what was sent of it. */
import { moment, t, tOf } from "../i18n";
import type { Report } from "../shapes";

export function History({ report }: { report: Report }) {
  return (
    <details class="block">
      <summary>
        {t("history.title")} <span class="count">{report.history.length + report.deliveries.length}</span>
      </summary>
      {report.deliveries.length > 0 && (
        <>
          <h3>{t("history.sent")}</h3>
          <ul class="steps">
            {report.deliveries.map((sent) => (
              <li key={sent.delivery_id}>
                <span>{`${sent.destination} · ${sent.form.toUpperCase()} ${sent.status}`}</span>
                <span class="quiet">
                  {[tOf("outcome", sent.outcome), moment(sent.ended_at), sent.reason].filter(Boolean).join(" · ")}
                </span>
              </li>
            ))}
          </ul>
        </>
      )}
      <h3>{t("history.done")}</h3>
      <ul class="steps">
        {[...report.history].reverse().map((step, n) => (
          <li key={n}>
            <span>{tOf("action", step.action)}</span>
            <span class="quiet">
              {[moment(step.at), step.actor, step.reason].filter(Boolean).join(" · ")}
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}
