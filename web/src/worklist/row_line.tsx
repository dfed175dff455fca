/** One row of the worklist. */
import { duration, moment, t, tOf } from "../i18n";
import { AiSign } from "../parts/icons";
import { ageAndSex, nameOf } from "../parts/patient";
import { follow } from "../router";
import type { Row } from "../shapes";

export function RowLine({ row }: { row: Row }) {
  const to = `/case/${row.case_id}`;
  return (
    <tr class={row.is_stat ? "stat" : ""} data-case={row.case_id} data-ai={row.ai.kind}>
      <td>
        <span class={`priority priority-${row.priority}`}>{tOf("priority", row.priority, row.priority)}</span>
      </td>
      <td>
        <div class="ai">
          <AiSign kind={row.ai.kind} />
          <div>
            <span class={`ai-word ai-${row.ai.kind}`}>{tOf("ai", row.ai.kind)}</span>
            <AiLine row={row} />
          </div>
        </div>
      </td>
      <td>
        <a class="row-link" href={to} onClick={(event) => follow(event, to)}>
          {nameOf(row.patient)}
        </a>
        <div class="quiet">
          {[ageAndSex(row.patient), row.patient.patient_id].filter(Boolean).join(" · ")}
          {row.is_synthetic && <span class="test">{t("patient.test")}</span>}
        </div>
      </td>
      <td>
        {row.procedure || row.study_description || t("exam.unnamed")}
        <div class="quiet">{[row.modalities.join(", "), row.body_part].filter(Boolean).join(" · ")}</div>
      </td>
      <td class="code">{row.accession_numbers.join(", ") || <span class="quiet">{t("exam.no_order")}</span>}</td>
      <td>
        <span class={`state state-${row.status}`}>{tOf("state", row.status)}</span>
        <div class="quiet">{whose(row)}</div>
      </td>
      <td class="waiting" title={moment(row.waiting_since)}>
        {duration((Date.now() - Date.parse(row.waiting_since)) / 1000)}
      </td>
    </tr>
  );
}

function AiLine({ row }: { row: Row }) {
  const reasons = row.ai.models.filter((model) => model.kind === row.ai.kind).flatMap((model) => model.reasons);
  const isWhyNot = row.ai.kind === "did_not_run" || row.ai.kind === "not_for_this_patient";
  const said = isWhyNot && reasons.length ? t("ai.because", { why: reasons.join("; ") }) : row.ai.line;
  if (!said) return null;
  return (
    <div class="quiet clip" title={said} lang="en">
      {said}
    </div>
  );
}

function whose(row: Row): string {
  if (row.claimed_by_me) return t("state.by_you");
  if (row.claimed_by) return t("state.by", { who: row.claimed_by });
  if (row.status === "read_elsewhere") return row.read_elsewhere_by;
  return row.signed_by ? t("state.signed_by", { who: row.signed_by }) : "";
}
