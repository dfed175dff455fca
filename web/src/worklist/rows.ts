/** The worklist's rows as they are now: asked for again whenever the server says that something changed. */
import { signal } from "@preact/signals";
import { ask } from "../api";
import { noteEnd } from "../session";
import type { Row, Worklist } from "../shapes";

export type View = "open" | "done" | "all";

export interface Filters {
  view: View;
  modality: string;
  ai: string;
  q: string;
}

export const filters = signal<Filters>({ view: "open", modality: "", ai: "", q: "" });
export const list = signal<Worklist | null>(null);

const PAGE = 100;
const READABLE = new Set(["drafted", "rejected"]);
let asked = 0;

/** Ask for the first page anew. Only the newest question's answer counts. */
export async function refresh(): Promise<void> {
  const number = ++asked;
  try {
    const answer = await ask<Worklist>("GET", `/api/v1/worklist?${query()}`);
    if (number === asked) list.value = answer;
  } catch (error) {
    noteEnd(error);
  }
}

/** Ask for the next page. */
export async function more(): Promise<void> {
  const now = list.value;
  if (!now?.next) return;
  try {
    const answer = await ask<Worklist>("GET", `/api/v1/worklist?${query(now.next)}`);
    list.value = { ...answer, items: [...now.items, ...answer.items] };
  } catch (error) {
    noteEnd(error);
  }
}

/** Return the first case that waits for this reader; with `past`, the one that follows that case in the list. */
export async function nextFor(caseId: string, past: boolean): Promise<Row | null> {
  const { items } = await ask<Worklist>("GET", `/api/v1/worklist?view=open&limit=${PAGE}`);
  const at = past ? items.findIndex((row) => row.case_id === caseId) : -1;
  const inTurn = [...items.slice(at + 1), ...items.slice(0, at + 1)];
  return inTurn.find((row) => row.case_id !== caseId && isForReading(row)) ?? null;
}

function isForReading(row: Row): boolean {
  return READABLE.has(row.status) || (row.status === "in_review" && row.claimed_by_me);
}

/** Ask again on every change, and when the server went silent, until the caller leaves. */
export function live(onChange: () => void): () => void {
  let timer = 0;
  let again = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = window.setTimeout(onChange, 150);
  };
  const listen = () => {
    const events = new EventSource("/api/v1/worklist/events");
    events.addEventListener("worklist", soon);
    events.onerror = () => {
      soon();
      if (events.readyState === EventSource.CLOSED) again = window.setTimeout(() => (now = listen()), 3000);
    };
    return events;
  };
  let now = listen();
  const slow = window.setInterval(onChange, 20_000);
  return () => {
    now.close();
    clearTimeout(timer);
    clearTimeout(again);
    clearInterval(slow);
  };
}

function query(after = ""): URLSearchParams {
  const { view, modality, ai, q } = filters.value;
  const asked = new URLSearchParams({ view, limit: String(PAGE) });
  for (const [name, value] of Object.entries({ modality, ai, q, after })) if (value) asked.set(name, value);
  return asked;
}
