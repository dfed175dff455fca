/** From what was chosen in the form to what the report will state. */
import { tIn, type Word } from "../i18n";
import type { Finding, Verdict } from "../shapes";
import { unitOf } from "./finding_line";
import type { Decision } from "./state";

export interface Choice {
  what: "keep" | "change" | "leave_out" | null;
  value: string;
}

export interface Added {
  finding: Finding;
  labels: Record<string, string>;
  side: string;
  words: string;
}

export interface Made {
  isReject: boolean;
  all: Finding[];
  choices: Choice[];
  added: Added[];
  reasons: string[];
  conclusion: string;
  /** The language the document is written in. */
  language: string;
}

/** Whether `value` is a decimal string as the contract has it. */
export function isDecimal(value: string): boolean {
  return /^-?\d{1,12}(\.\d{1,6})?$/.test(value.trim());
}

export function verdictOf(made: Made): Verdict {
  return made.isReject ? "rejected" : "changed";
}

/** Return the findings, reasons and conclusion that the form states. Side and words have no field: they are told in words. */
export function changesOf(made: Made): Omit<Decision, "verdict"> {
  const kept = made.all.flatMap((finding, n) => stated(finding, made.choices[n]));
  const added = made.added.map((each) => each.finding);
  const isMissed = added.length > 0 && !made.reasons.includes("missed_finding");
  return {
    findings: [...kept, ...added],
    reasons: isMissed ? [...made.reasons, "missed_finding"] : made.reasons,
    conclusion: conclusionOf(made, [...kept, ...added]),
  };
}

function stated(finding: Finding, choice: Choice | undefined): Finding[] {
  if (choice?.what === "keep") return [finding];
  // The model was sure of its own value, not of the reader's; and what was flagged was that value, too.
  if (choice?.what === "change") return [{ ...finding, value: choice.value.trim(), probability: null, abnormal_flag: "" }];
  return [];
}

function conclusionOf(made: Made, findings: Finding[]): string {
  const lines = made.added.filter((each) => each.side || each.words.trim()).map((each) => lineOf(each, made.language));
  if (!lines.length || made.conclusion) return [made.conclusion, ...lines].filter(Boolean).join("\n");
  // Without words of one's own Overread would write one sentence of all findings: said here, so that side and words stay in it.
  const names = findings.map((finding) => [finding.display, valueIn(finding)].filter(Boolean).join(" "));
  return [`${tIn(made.language, "findings.sentence")}: ${names.join("; ")}.`, ...lines].join("\n");
}

function lineOf(added: Added, language: string): string {
  const side = added.side && tIn(language, `side.${added.side}` as Word);
  return `${added.labels[language] ?? added.finding.display}: ${[side, added.words.trim()].filter(Boolean).join(", ")}.`;
}

function valueIn(finding: Finding): string {
  return finding.value === null ? finding.coded_value_display : `${finding.value} ${unitOf(finding)}`;
}
