/** What laboratory and bedside say about the patient, beside the order: value, unit, range, flag, time. */
import { decimal, moment, t, tOf, type Word } from "../i18n";
import type { ContextObservation, Reading } from "../shapes";

export function ContextCard({ of }: { of: Reading["case"] }) {
  return (
    <>
      <Values title="context.laboratory" values={of.laboratory} />
      <Values title="context.bedside" values={of.bedside} />
    </>
  );
}

function Values({ title, values }: { title: Word; values: ContextObservation[] }) {
  if (!values.length) return null;
  return (
    <section class="block" aria-labelledby={title}>
      <h2 id={title}>{t(title)}</h2>
      <div>
        {values.map((value) => (
          <Value key={value.concept} value={value} />
        ))}
      </div>
    </section>
  );
}

function Value({ value }: { value: ContextObservation }) {
  const flag = value.abnormal_flag && value.abnormal_flag !== "N" ? tOf("flag", value.abnormal_flag) : "";
  const range = value.reference_range && t("context.range", { range: decimals(value.reference_range) });
  const early = ["P", "R", "I", "S"].includes(value.status) ? t("context.early") : "";
  return (
    <div class={`finding ${flag ? "abnormal" : ""}`} data-concept={value.concept}>
      <span>{tOf("observation", value.concept, value.code.text || value.code.identifier)}</span>
      <span class="how-much">{[decimals(value.value), value.unit].filter(Boolean).join(" ")}</span>
      <span class="probability">{[flag, range, early, moment(value.observed_at)].filter(Boolean).join(" · ")}</span>
    </div>
  );
}

/** Write every decimal number in a text as the language does: `3.5-5.1` has two. */
function decimals(text: string): string {
  return text.replace(/\d+\.\d+/g, (number) => decimal(number));
}
