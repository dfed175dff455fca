/** An order and a study side by side, what differs marked in words and colour; why they fit or not; what was decided. */
import { day, moment, t, tOf } from "../i18n";
import type { Decision, Pair, Patient, Reason } from "./shapes";

interface Line {
  field: string;
  order: string;
  study: string;
}

export function SideBySide({ pair }: { pair: Pair }) {
  return (
    <div class="block desk-sides">
      <h2>
        {t("desk.score")} <strong class="score">{pair.score}</strong> / 100{" "}
        {pair.is_linked && <span class="state">{t("desk.is_linked")}</span>}
      </h2>
      {pair.conflict && (
        <p class="note note-warn" role="note">
          <strong>{t("desk.conflict")}</strong> {tOf("desk.why", pair.conflict.replaceAll(" ", "_"), pair.conflict)}
        </p>
      )}
      <table>
        <thead>
          <tr>
            <th scope="col">{t("desk.field")}</th>
            <th scope="col">{t("desk.order")}</th>
            <th scope="col">{t("desk.study")}</th>
            <th scope="col">{t("desk.reason")}</th>
          </tr>
        </thead>
        <tbody>
          {linesOf(pair).map((line) => (
            <Row key={line.field} line={line} reason={pair.reasons.find((one) => one.field === line.field)} />
          ))}
        </tbody>
      </table>
      {pair.decisions.length > 0 && <History made={pair.decisions} />}
    </div>
  );
}

function Row({ line, reason }: { line: Line; reason: Reason | undefined }) {
  const against = reason !== undefined && reason.points < 0;
  return (
    <tr class={against ? "desk-differs" : ""}>
      <th scope="row">{tOf("desk.field", line.field)}</th>
      <td>{line.order || "–"}</td>
      <td>{line.study || "–"}</td>
      <td>{reason && <Why reason={reason} isAgainst={against} />}</td>
    </tr>
  );
}

const ALMOST = new Set(["accession_near", "name_part", "birth_date_swapped", "birth_year_same", "procedure_alike"]);

function Why({ reason, isAgainst }: { reason: Reason; isAgainst: boolean }) {
  const slip = reason.params.slip ? ` (${tOf("desk.slip", reason.params.slip)})` : "";
  const said = `${tOf("desk.fits", reason.code)}${slip}`;
  return (
    <span class={isAgainst ? "desk-against" : "desk-for"}>
      {isAgainst ? "≠" : ALMOST.has(reason.code) ? "≈" : "="} {said} <span class="num">{reason.points > 0 ? `+${reason.points}` : reason.points}</span>
    </span>
  );
}

function History({ made }: { made: Decision[] }) {
  return (
    <div class="block">
      <h2 id="decided">{t("desk.decided")}</h2>
      <ul aria-labelledby="decided">
        {made.map((one) => (
          <li key={one.decision_id} class={one.is_undone ? "quiet" : ""}>
            <strong>{tOf("desk.deed", one.kind)}</strong> · {one.decided_by} · {moment(one.decided_at)} · {one.reason}{" "}
            {one.is_undone && <span class="state">{t("desk.undone")}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}

function linesOf({ order, study }: Pair): Line[] {
  const said = (field: string, left: string, right: string): Line => ({ field, order: left, study: right });
  return [
    said("name", nameOf(order.patient), nameOf(study.patient)),
    said("birth_date", day(order.patient.birth_date), day(study.patient.birth_date)),
    said("sex", tOf("desk.sex", order.patient.sex), tOf("desk.sex", study.patient.sex)),
    said("identifiers", numbersOf(order.patient), numbersOf(study.patient)),
    said("accession_number", order.accession_number, study.accession_numbers.join(", ")),
    said("study_instance_uid", order.study_instance_uid, study.study_instance_uid),
    said("modality", order.modality, study.modalities.join(", ")),
    said("procedure", order.service, [study.study_description, study.body_part_examined].filter(Boolean).join(" · ")),
    said("time", moment(order.scheduled_at), moment(study.study_date_time || null)),
    said("ward", order.patient_location, ""),
    said("numbers", [order.placer_order_number, order.filler_order_number].filter(Boolean).join(" · "), ""),
  ];
}

const nameOf = (patient: Patient) => [patient.family_name, patient.given_name].filter(Boolean).join(" ");

function numbersOf(patient: Patient): string {
  return patient.identifiers
    .map((one) => (one.assigning_authority ? `${one.id_number} (${one.assigning_authority})` : one.id_number))
    .join(", ");
}
