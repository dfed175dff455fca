/** Asking the API. A refusal is a `Problem` with words that say what to do next; silence sets `isAway`. */
import { signal } from "@preact/signals";

/** Whether the last request got no answer at all. */
export const isAway = signal(false);

/** Why a request was refused (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly kind: string,
    readonly status: number,
    readonly detail: string,
  ) {
    super(kind);
  }
}

/** Return the answer to one request, or throw a `Problem`. */
export async function ask<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
  const answer = await answerTo(method, path, body);
  return (await answer.json()) as T;
}

/** Return the answer to a file that is sent. */
export async function send<T>(path: string, file: Blob): Promise<T> {
  return (await (await answerTo("POST", path, file)).json()) as T;
}

/** Return an answer that is no JSON; null where there is nothing (204). */
export async function bytesOf(path: string): Promise<Uint8Array | null> {
  const answer = await answerTo("GET", path);
  return answer.status === 204 ? null : new Uint8Array(await answer.arrayBuffer());
}

/** Return an answer as text. */
export async function textOf(path: string): Promise<string> {
  return (await answerTo("GET", path)).text();
}

async function answerTo(method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = method === "GET" ? {} : { "X-Overread-Request": "1" };
  const isFile = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = isFile ? "application/octet-stream" : "application/json";
  const sent = isFile ? body : body === undefined ? (method === "GET" ? null : "") : JSON.stringify(body);
  let answer: Response;
  try {
    answer = await fetch(path, { method, headers, body: sent, credentials: "same-origin" });
  } catch {
    isAway.value = true;
    throw new Problem("away", 0, "");
  }
  isAway.value = false;
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

async function problemOf(answer: Response): Promise<Problem> {
  const said = (await answer.json().catch(() => ({}))) as { type?: string; detail?: string };
  return new Problem((said.type ?? "").split(":").pop() || "http", answer.status, said.detail ?? "");
}
