/** What lies on the desk, which entry one looks at, and what one decides. Nothing of it is in the address. */
import { signal } from "@preact/signals";
import { ask, Problem } from "../api";
import { t, tOf, type Word } from "../i18n";
import { announce } from "../parts/announcer";
import { noteEnd } from "../session";
import type { Candidates, Entry, EntryKind, Page, Pair } from "./shapes";

export const kind = signal<EntryKind>("doubt");
export const entries = signal<Entry[] | null>(null);
export const next = signal("");
export const chosen = signal<Entry | null>(null);
export const candidates = signal<Candidates | null>(null);
export const pair = signal<Pair | null>(null);

export const keyOf = (entry: Entry) => `${entry.kind}/${entry.subject}/${entry.case_id}`;

/** Look at the desk anew; what one is looking at stays. */
export async function refresh(): Promise<void> {
  const asked = kind.value;
  const page = await tried(() => ask<Page>("GET", `/desk/entries?kind=${asked}`));
  if (!page || asked !== kind.value) return;
  entries.value = page.items;
  next.value = page.next;
}

/** Add the following page. */
export async function more(): Promise<void> {
  const after = encodeURIComponent(next.value);
  const page = await tried(() => ask<Page>("GET", `/desk/entries?kind=${kind.value}&after=${after}`));
  if (!page) return;
  entries.value = [...(entries.value ?? []), ...page.items];
  next.value = page.next;
}

/** Look at another part of the desk. */
export function show(part: EntryKind): void {
  kind.value = part;
  entries.value = null;
  choose(null);
  void refresh();
}

/** Look at one entry: at its order and study side by side, or at what may fit. */
export function choose(entry: Entry | null): void {
  chosen.value = entry;
  candidates.value = null;
  pair.value = null;
  if (entry) void lookAt(entry);
}

async function lookAt(entry: Entry): Promise<void> {
  if (entry.case_id && entry.order_id) await compare(entry.case_id, entry.order_id);
  const side = entry.case_id ? `cases/${entry.case_id}` : entry.order_id ? `orders/${entry.order_id}` : "";
  const found = side ? await tried(() => ask<Candidates>("GET", `/desk/${side}`)) : null;
  if (chosen.value && keyOf(chosen.value) === keyOf(entry)) candidates.value = found;
}

/** Put an order and a study side by side. */
export async function compare(caseId: string, orderId: string): Promise<void> {
  const found = await tried(() => ask<Pair>("GET", `/desk/pairs/${caseId}/${orderId}`));
  if (found) pair.value = found;
}

/** Decide about the pair that is shown; somebody else's decision in between is shown instead. */
export async function decide(deed: string, reason: string, isOnePatient: boolean): Promise<void> {
  const seen = pair.value;
  if (!seen) return;
  await perform("/desk/decisions", {
    kind: deed,
    case_id: seen.study.case_id,
    order_id: seen.order.order_id,
    version: seen.version,
    reason,
    despite_conflict: isOnePatient,
  });
}

/** Let the decision that holds about the pair hold no more. */
export async function undo(reason: string, isOnePatient: boolean): Promise<void> {
  const standing = pair.value?.decisions.find((one) => !one.is_undone);
  if (!standing) return;
  const { decision_id } = standing;
  const asked = { decision_id, version: pair.value?.version, reason, despite_conflict: isOnePatient };
  await perform("/desk/undo", asked, "desk.done_undo");
}

/** Say whether undoing the decision that holds attaches the order again. */
export function undoAttaches(): boolean {
  const [, before] = pair.value?.decisions.filter((one) => !one.is_undone) ?? [];
  return before?.kind === "attach";
}

/** Take the chosen entry from the desk. */
export async function dismiss(reason: string): Promise<void> {
  const entry = chosen.value;
  if (!entry) return;
  const { kind: of, subject, case_id, reason: entry_reason, version } = entry;
  const place = of === "no_order" || of === "no_images" ? null : case_id;
  const seen = { kind: of, subject, case_id: place, entry_reason, version };
  if (await perform("/desk/dismissals", { ...seen, reason })) choose(null);
}

async function perform(path: string, body: object, word: Word = "desk.done"): Promise<boolean> {
  const seen = pair.value;
  const done = await tried(() => ask<object>("POST", path, body));
  if (done) announce(t(word));
  if (seen) await compare(seen.study.case_id, seen.order.order_id);
  await refresh();
  return done !== null;
}

async function tried<T>(asked: () => Promise<T>): Promise<T | null> {
  try {
    return await asked();
  } catch (error) {
    noteEnd(error);
    if (error instanceof Problem && error.status !== 0) announce(tOf("desk.refused", error.kind, error.detail), true);
    return null;
  }
}
