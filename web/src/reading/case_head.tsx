/** Who and what is on screen: always in sight, so that nobody reads the wrong patient. */
import { day, t, tOf } from "../i18n";
import { ageAndSex, nameOf } from "../parts/patient";
import { go } from "../router";
import type { Row } from "../shapes";

export function CaseHead({ row }: { row: Row }) {
  const { patient } = row;
  return (
    <div class="case-head">
      <button class="plain back" onClick={() => go("/")}>
        ← {t("worklist.title")} <kbd>Esc</kbd>
      </button>
      {row.is_stat && <span class="priority priority-S">{tOf("priority", "S")}</span>}
      <h1>{nameOf(patient)}</h1>
      <span>{[ageAndSex(patient), day(patient.birth_date)].filter(Boolean).join(" · ")}</span>
      <span class="code">{patient.patient_id}</span>
      {row.is_synthetic && <span class="test">{t("patient.test")}</span>}
      <span class="spread" />
      <span class="exam">{row.procedure || row.study_description}</span>
      <span class="code">{row.accession_numbers.join(", ") || t("exam.no_order")}</span>
      <span class={`state state-${row.status}`}>{tOf("state", row.status)}</span>
    </div>
  );
}
