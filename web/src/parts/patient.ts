/** Who the patient is, in one line. */
import { t, tOf } from "../i18n";
import type { RowPatient } from "../shapes";

export function nameOf(patient: RowPatient): string {
  return [patient.family_name, patient.given_name].filter(Boolean).join(" ") || t("patient.unnamed");
}

export function ageAndSex(patient: RowPatient): string {
  const age = patient.age_years === null ? "" : t("patient.years", { n: patient.age_years });
  const sex = patient.sex ? tOf("sex", patient.sex.toUpperCase(), patient.sex) : "";
  return [sex, age].filter(Boolean).join(", ");
}
