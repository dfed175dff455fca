/** The clinician's own findings: each of the AI's kept, changed or left out, and what the AI missed added. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { decimal, language, t, tOf } from "../i18n";
import type { Finding, Reading } from "../shapes";
import { FindingLine, unitOf } from "./finding_line";
import { changesOf, type Added, type Choice, isDecimal, verdictOf } from "./changes";
import { decide, stage, undecide } from "./state";

const REASONS = [
  "false_positive",
  "missed_finding",
  "wrong_value",
  "wrong_location",
  "poor_image_quality",
  "not_relevant",
  "other",
];
const SIDES = ["", "left", "right", "both"];

export function ChangeForm({ reading }: { reading: Reading }) {
  const all = reading.report?.document.findings ?? [];
  const documentLanguage = reading.report?.document.language ?? "";
  const isReject = stage.value === "reject";
  const [choices, setChoices] = useState<Choice[]>(() =>
    all.map((finding) => ({ what: isReject ? "leave_out" : null, value: finding.value ?? "" })),
  );
  const [added, setAdded] = useState<Added[]>([]);
  const [reasons, setReasons] = useState<string[]>([]);
  const [conclusion, setConclusion] = useState("");
  const [missing, setMissing] = useState("");
  const form = useRef<HTMLFormElement>(null);
  const first = isReject ? ".checks input" : "input, select";
  useLayoutEffect(() => form.current?.querySelector<HTMLElement>(first)?.focus(), []);
  const choose = (n: number, by: Partial<Choice>) =>
    setChoices(choices.map((choice, at) => (at === n ? { ...choice, ...by } : choice)));
  const show = (event: Event) => {
    event.preventDefault();
    const made = { isReject, all, choices, added, reasons, conclusion: conclusion.trim(), language: documentLanguage };
    const lacks = lackOf(made);
    setMissing(lacks);
    if (!lacks) decide({ ...changesOf(made), verdict: verdictOf(made) });
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Enter" && event.ctrlKey) form.current?.requestSubmit();
    if (event.key !== "Escape") return;
    event.preventDefault(); // the page's own Escape would then leave the case
    undecide();
  };
  return (
    <form ref={form} class="block change" onSubmit={show} onKeyDown={pressed} noValidate>
      <h2>{t(isReject ? "change.reject_title" : "change.title")}</h2>
      {isReject && <p class="quiet">{t("change.reject_means")}</p>}
      {!isReject &&
        all.map((finding, n) => (
          <OneFinding key={n} n={n} finding={finding} choice={choices[n]} onChoose={(by) => choose(n, by)} />
        ))}
      {!isReject && all.length > 1 && (
        <button
          type="button"
          class="plain"
          onClick={() => setChoices(choices.map((choice) => ({ ...choice, what: choice.what ?? "keep" })))}
        >
          {t("change.keep_others")}
        </button>
      )}
      <Missed reading={reading} added={added} onAdded={setAdded} />
      <fieldset>
        <legend>{t("change.why")}</legend>
        <div class="checks">
          {REASONS.map((reason) => (
            <label key={reason} class="check">
              <input
                type="checkbox"
                checked={reasons.includes(reason)}
                onChange={(event) =>
                  setReasons(
                    event.currentTarget.checked ? [...reasons, reason] : reasons.filter((each) => each !== reason),
                  )
                }
              />
              {tOf("disagreement", reason)}
            </label>
          ))}
        </div>
      </fieldset>
      <label>
        {t("findings.conclusion")}
        <textarea
          rows={3}
          maxLength={20000}
          value={conclusion}
          placeholder={t("change.conclusion_hint")}
          onInput={(event) => setConclusion(event.currentTarget.value)}
        />
      </label>
      {missing && (
        <p class="note note-warn" role="alert">
          {missing}
        </p>
      )}
      <div class="form-deeds">
        <button class="primary" type="submit">
          {t("change.show")} <kbd>Ctrl Enter</kbd>
        </button>
        <button type="button" onClick={undecide}>
          {t("cancel")} <kbd>Esc</kbd>
        </button>
      </div>
    </form>
  );
}

interface OneProps {
  n: number;
  finding: Finding;
  choice: Choice | undefined;
  onChoose: (by: Partial<Choice>) => void;
}

function OneFinding({ n, finding, choice, onChoose }: OneProps) {
  const ways = finding.value === null ? (["keep", "leave_out"] as const) : (["keep", "change", "leave_out"] as const);
  return (
    <fieldset class="one-finding">
      <legend class="hidden">{finding.display}</legend>
      <FindingLine finding={finding} />
      <div class="ways">
        {ways.map((what) => (
          <label key={what} class="check">
            <input
              type="radio"
              name={`finding-${n}`}
              checked={choice?.what === what}
              onChange={() => onChoose({ what })}
            />
            {tOf("change", what)}
          </label>
        ))}
        {choice?.what === "change" && (
          <label class="value">
            <span class="hidden">{t("change.value_of", { what: finding.display })}</span>
            <input
              inputMode="decimal"
              value={decimal(choice.value)}
              aria-invalid={!isDecimal(choice.value)}
              onInput={(event) => onChoose({ value: event.currentTarget.value.replace(",", ".") })}
            />
            {unitOf(finding)}
          </label>
        )}
      </div>
    </fieldset>
  );
}

interface MissedProps {
  reading: Reading;
  added: Added[];
  onAdded: (added: Added[]) => void;
}

function Missed({ reading, added, onAdded }: MissedProps) {
  const codes = reading.finding_codes;
  const [chosen, setChosen] = useState("");
  const fields = useRef<HTMLFieldSetElement>(null);
  const before = useRef(0);
  useLayoutEffect(() => {
    // Whoever works without a pointer goes on where something changed: at the new finding's side.
    const selects = [...(fields.current?.querySelectorAll("select") ?? [])];
    if (added.length !== before.current) selects.at(added.length ? -2 : -1)?.focus();
    before.current = added.length;
  }, [added.length]);
  const add = () => {
    const code = codes[Number(chosen)];
    if (!chosen || !code) return;
    onAdded([...added, { finding: code.finding, labels: code.labels, side: "", words: "" }]);
    setChosen("");
  };
  const change = (n: number, by: Partial<Added>) =>
    onAdded(added.map((each, at) => (at === n ? { ...each, ...by } : each)));
  return (
    <fieldset ref={fields} class="missed">
      <legend>{t("change.missed")}</legend>
      {added.map((each, n) => (
        <div key={n} class="one-missed">
          <strong>{labelOf(each.labels) || each.finding.display}</strong>
          <select
            aria-label={t("change.side")}
            value={each.side}
            onChange={(event) => change(n, { side: event.currentTarget.value })}
          >
            {SIDES.map((side) => (
              <option key={side} value={side}>
                {side ? tOf("side", side) : t("change.side")}
              </option>
            ))}
          </select>
          <input
            aria-label={t("change.words")}
            placeholder={t("change.words")}
            maxLength={400}
            value={each.words}
            onInput={(event) => change(n, { words: event.currentTarget.value })}
          />
          <button type="button" class="plain" onClick={() => onAdded(added.filter((_, at) => at !== n))}>
            {t("change.take_away")}
          </button>
        </div>
      ))}
      <div class="add-missed">
        <select
          aria-label={t("change.add")}
          value={chosen}
          onChange={(event) => setChosen(event.currentTarget.value)}
        >
          <option value="">{t("change.add")}</option>
          {codes.map((code, n) => (
            <option key={code.finding.code + code.finding.coded_value} value={n}>
              {labelOf(code.labels) || code.finding.display}
            </option>
          ))}
        </select>
        <button type="button" disabled={!chosen} onClick={add}>
          {t("change.add_it")}
        </button>
      </div>
    </fieldset>
  );
}

function labelOf(labels: Record<string, string>): string {
  return labels[language.value] ?? labels.en ?? "";
}

/** Say what is still to be decided, or nothing. */
function lackOf(made: Parameters<typeof changesOf>[0]): string {
  if (made.choices.some((choice) => choice.what === null)) return t("change.lacks_choice");
  if (made.choices.some((choice) => choice.what === "change" && !isDecimal(choice.value))) return t("change.lacks_value");
  const isUntouched = made.choices.every((choice) => choice.what === "keep") && !made.added.length;
  if (isUntouched && !made.isReject) return made.conclusion ? "" : t("change.lacks_change");
  const needsWhy = made.isReject || made.choices.some((choice) => choice.what !== "keep");
  return needsWhy && !made.reasons.length ? t("change.lacks_why") : "";
}
