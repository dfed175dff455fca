/** What may fit, best first, each with its score; the one that is compared is marked. */
import { moment, t } from "../i18n";
import type { Candidate, Candidates } from "./shapes";
import { compare, pair } from "./state";

export function CandidateList({ found }: { found: Candidates }) {
  if (found.candidates.length === 0) return <p class="note">{t("desk.no_candidate")}</p>;
  return (
    <div class="block">
      <h2 id="candidates">{t(found.study ? "desk.orders_like" : "desk.studies_like")}</h2>
      <ul class="desk-candidates" aria-labelledby="candidates">
        {found.candidates.map((one) => (
          <li key={one.order?.order_id ?? one.study?.case_id}>
            <Line one={one} found={found} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function Line({ one, found }: { one: Candidate; found: Candidates }) {
  const caseId = found.study?.case_id ?? one.study?.case_id ?? "";
  const orderId = found.order?.order_id ?? one.order?.order_id ?? "";
  const isShown = pair.value?.study.case_id === caseId && pair.value?.order.order_id === orderId;
  const numbers = one.order ? one.order.accession_number : one.study?.accession_numbers.join(", ");
  const what = one.order ? one.order.service : one.study?.study_description;
  const when = one.order ? one.order.scheduled_at : one.study?.study_date_time;
  return (
    <button class="desk-candidate" aria-pressed={isShown} onClick={() => void compare(caseId, orderId)}>
      <strong class="num">{one.score}</strong> <span class="code">{numbers || "–"}</span> <span>{what}</span>{" "}
      <span class="quiet">{moment(when ?? null)}</span>
      {one.is_linked && <span class="state">{t("desk.is_linked")}</span>}
      {one.is_kept_apart && <span class="state">{t("desk.is_apart")}</span>}
    </button>
  );
}
