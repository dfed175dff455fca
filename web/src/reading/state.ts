/** The case on screen, what its reader is deciding, and what the server answered. */
import { signal } from "@preact/signals";
import { ask, Problem } from "../api";
import { t } from "../i18n";
import { announce } from "../parts/announcer";
import { go } from "../router";
import { keepDecision, keptDecision, noteEnd, signIn } from "../session";
import type { Finding, Reading, Report, Verdict } from "../shapes";
import { list, nextFor } from "../worklist/rows";

/** What the reader decided; nothing of it holds before the signature. */
export interface Decision {
  verdict: Verdict;
  findings: Finding[] | null;
  reasons: string[];
  conclusion: string;
}

export type Stage = "look" | "change" | "reject" | "sign";

/** Something that went otherwise than the reader meant; `kind` names its words. */
export interface Notice {
  kind: string;
  detail: string;
}

export const reading = signal<Reading | null>(null);
export const stage = signal<Stage>("look");
export const decision = signal<Decision | null>(null);
export const notice = signal<Notice | null>(null);
export const isBusy = signal(false);

const CLAIMABLE = new Set(["drafted", "rejected", "in_review"]);
const CLOSING = new Set(["sign", "reject", "release"]);
let opened = "";

/** Put a case on screen. From the worklist, opening it also takes it, so that nobody else decides on it. */
export async function open(caseId: string): Promise<void> {
  const isOther = opened !== caseId;
  opened = caseId;
  clear(isOther);
  const row = list.value?.items.find((each) => each.case_id === caseId);
  const takes = row && CLAIMABLE.has(row.status) ? row.report_id : null;
  const answer = await tried(
    takes
      ? ask<Reading>("POST", `/api/v1/reports/${takes}/open`)
      : ask<Reading>("GET", `/api/v1/cases/${caseId}/reading`),
  );
  if (opened !== caseId || !answer) return;
  reading.value = answer;
  const kept = answer.report && keptDecision<Decision>(answer.report.digest);
  if (kept && mayDecide(answer)) {
    decision.value = kept;
    stage.value = "sign";
  }
}

/** Leave the case on screen. */
export function leave(): void {
  opened = "";
  clear(true);
}

/** Look again, because something changed. A decision about a document that is no longer there is void. */
export async function lookAgain(): Promise<void> {
  const before = reading.value;
  if (!before || isBusy.value) return;
  const caseId = before.row.case_id;
  const row = list.value?.items.find((each) => each.case_id === caseId);
  if (row && isSame(before, row)) return;
  const now = await ask<Reading>("GET", `/api/v1/cases/${caseId}/reading`).catch(noted);
  if (!now || opened !== caseId || isBusy.value) return;
  reading.value = now;
  if (before.report?.digest !== now.report?.digest && stage.value !== "look") {
    decision.value = null;
    stage.value = "look";
    notice.value = { kind: "stale-digest", detail: "" };
  }
}

/** Whether the reader may decide about the document on screen now. */
export function mayDecide(of: Reading | null): boolean {
  return Boolean(of?.report?.allowed_actions.includes("sign")) && !of?.not_signable;
}

/** Hold what the reader decided, and show what will be signed. */
export function decide(made: Decision): void {
  decision.value = made;
  stage.value = "sign";
  notice.value = null;
}

/** Go back to looking; nothing is decided any more. */
export function undecide(): void {
  decision.value = null;
  stage.value = "look";
}

/** Sign what is shown. Afterwards the next case opens by itself. */
export async function sign(): Promise<void> {
  const [now, made] = [reading.value, decision.value];
  if (!now?.report || !made || isBusy.value) return;
  if (!now.signing.is_fresh || Date.parse(now.signing.fresh_until) <= Date.now()) return signInAgain();
  const body = {
    digest: now.report.digest,
    verdict: made.verdict,
    ...(made.findings ? { findings: made.findings } : {}),
    ...(made.reasons.length ? { reasons: made.reasons } : {}),
    ...(made.conclusion.trim() ? { conclusion: made.conclusion.trim() } : {}),
  };
  if (await act("sign", body)) {
    announce(t("signed.done", { accession: now.row.accession_numbers[0] ?? "" }));
    await goOn();
  }
}

/** Sign in anew and come back to this case with the decision as it is. */
export function signInAgain(): void {
  const now = reading.value;
  if (!now) return;
  if (now.report && decision.value) keepDecision(now.report.digest, decision.value);
  signIn(`/case/${now.row.case_id}`, true);
}

/** Do `deed` to the report; true when it was done. */
export async function act(deed: string, body?: unknown): Promise<boolean> {
  const report = reading.value?.report;
  if (!report || isBusy.value) return false;
  isBusy.value = true;
  notice.value = null;
  try {
    await ask<Report>("POST", `/api/v1/reports/${report.report_id}/${deed}`, body);
    if (!CLOSING.has(deed)) await again();
    return true;
  } catch (error) {
    await refused(error);
    return false;
  } finally {
    isBusy.value = false;
  }
}

/** Open the first case that waits for this reader, or the worklist when there is none; `past`: the one after this. */
export async function goOn(past = false): Promise<void> {
  const next = await nextFor(opened, past).catch(noted);
  if (next && list.value && !list.value.items.some((row) => row.case_id === next.case_id)) {
    list.value = { ...list.value, items: [...list.value.items, next] };
  }
  if (!next) announce(t("worklist.all_read"));
  go(next ? `/case/${next.case_id}` : "/");
}

async function again(): Promise<void> {
  const now = await ask<Reading>("GET", `/api/v1/cases/${opened}/reading`).catch(noted);
  if (now) reading.value = now;
}

async function refused(error: unknown): Promise<void> {
  if (!(error instanceof Problem)) throw error;
  noteEnd(error);
  if (error.kind === "session-too-old") return signInAgain();
  if (error.kind !== "away") {
    await again();
    undecideIfGone();
  }
  notice.value = { kind: error.kind, detail: error.detail };
}

/** A decision outlives a refusal only while the document it is about can still be signed. */
function undecideIfGone(): void {
  if (!mayDecide(reading.value)) undecide();
  else if (stage.value === "sign") stage.value = "look";
}

async function tried<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    noteEnd(error);
    notice.value = { kind: error.kind, detail: error.detail };
    return null;
  }
}

function noted(error: unknown): null {
  noteEnd(error);
  return null;
}

function clear(isOther: boolean): void {
  if (isOther) reading.value = null;
  decision.value = null;
  stage.value = "look";
  notice.value = null;
}

function isSame(of: Reading, row: Reading["row"]): boolean {
  const known = of.row;
  return (
    row.report_revision === known.report_revision &&
    row.status === known.status &&
    row.claimed_by === known.claimed_by &&
    row.task?.task_id === known.task?.task_id
  );
}
