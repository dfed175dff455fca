/** What will be signed: shown as it will read, before the signature. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { clock, t, tOf } from "../i18n";
import { ageAndSex, nameOf } from "../parts/patient";
import { me } from "../session";
import type { Reading } from "../shapes";
import { FindingLine } from "./finding_line";
import { decision } from "./state";

const isTextOpen = signal(false);

/** Open the text of the conclusion, to be edited. */
export function editText(): void {
  isTextOpen.value = true;
}

export function SignPanel({ reading }: { reading: Reading }) {
  const made = decision.value;
  const draft = reading.report?.document;
  if (!made || !draft) return null;
  const findings = made.verdict === "rejected" ? (made.findings ?? []) : (made.findings ?? draft.findings);
  const { patient, accession_numbers } = reading.row;
  return (
    <section class="block signing" aria-labelledby="will-sign">
      <h2 id="will-sign">{t("sign.title")}</h2>
      <p class="whose">
        <strong>{nameOf(patient)}</strong> {ageAndSex(patient)} · <span class="code">{patient.patient_id}</span> ·{" "}
        <span class="code">{accession_numbers.join(", ") || t("exam.no_order")}</span>
      </p>
      <p class="verdict">{tOf("verdict", made.verdict)}</p>
      {made.reasons.length > 0 && (
        <p class="quiet">{made.reasons.map((reason) => tOf("disagreement", reason)).join(" · ")}</p>
      )}
      {findings.map((finding, n) => (
        <FindingLine key={n} finding={finding} />
      ))}
      {!findings.length && <p>{t("findings.none_stated")}</p>}
      <ConclusionEdit draft={draft.conclusion} />
      <p class="quiet">
        {t("sign.as", { who: signerName(), until: clock(reading.signing.fresh_until) })}
      </p>
      {!reading.signing.is_fresh && (
        <div class="note note-warn" role="alert">
          <strong>{t("problem.session_too_old")}</strong>
          <p>{t("problem.next.session_too_old")}</p>
        </div>
      )}
    </section>
  );
}

/** The conclusion as it will stand; changing it is free text, and empty means that Overread writes it. */
function ConclusionEdit({ draft }: { draft: string }) {
  const made = decision.value;
  useEffect(() => () => void (isTextOpen.value = false), []);
  if (!made) return null;
  const written = made.conclusion || (made.verdict === "accepted" ? draft : t("sign.conclusion_written"));
  return (
    <div class="conclusion">
      <h3>{t("findings.conclusion")}</h3>
      {isTextOpen.value ? (
        <textarea
          aria-label={t("findings.conclusion")}
          rows={5}
          ref={(area) => area?.focus()}
          value={made.conclusion || (made.verdict === "accepted" ? draft : "")}
          onInput={(event) => (decision.value = { ...made, conclusion: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key !== "Escape") return;
            event.stopPropagation();
            event.currentTarget.blur();
            isTextOpen.value = false;
          }}
        />
      ) : (
        <>
          <p>{written}</p>
          <button class="plain" onClick={editText}>
            {t("sign.edit_text")} <kbd>t</kbd>
          </button>
        </>
      )}
    </div>
  );
}

function signerName(): string {
  const reader = me.value;
  return [reader?.family_name, reader?.given_name].filter(Boolean).join(" ") || reader?.subject || "";
}
