/** Who is signed in, and how one signs in, out, and in again. */
import { signal } from "@preact/signals";
import { ask, Problem } from "./api";
import { language, speakAsSite } from "./i18n";
import type { Me, SignInConfiguration } from "./shapes";

/** Undefined until it is known, null when signed out. */
export const me = signal<Me | null | undefined>(undefined);
export const configuration = signal<SignInConfiguration | null>(null);

/** Whether somebody may see how links are and look for messages. */
export function looksAfterLinks(reader: Me): boolean {
  return reader.operates || reader.roles.includes("integrator");
}

/** Whether somebody says what the links' codes mean. */
export function mapsCodes(reader: Me): boolean {
  return reader.roles.includes("integrator");
}

/** Whether somebody decides which order belongs to which study. */
export function reconciles(reader: Me): boolean {
  return reader.roles.includes("reconciler");
}

const DECISION = "overread.decision";

/** Find out who is signed in. */
export async function find(): Promise<void> {
  try {
    configuration.value = await ask<SignInConfiguration>("GET", "/auth/configuration");
    speakAsSite(configuration.value.language);
    me.value = await ask<Me>("GET", "/api/v1/me");
  } catch (error) {
    if (error instanceof Problem && error.status !== 0) me.value = null;
    else setTimeout(() => void find(), 2000);
  }
}

/** Go to the identity provider; it leads back to `returnTo`. `fresh` asks for the password anew. */
export function signIn(returnTo: string, fresh = false): void {
  const asked = new URLSearchParams({ return_to: returnTo, lang: language.value });
  if (fresh) asked.set("fresh", "1");
  location.assign(`/auth/sign-in?${asked}`);
}

/** End the session. */
export async function signOut(): Promise<void> {
  sessionStorage.clear();
  const answer = await ask<{ go_to: string }>("POST", "/auth/sign-out").catch(() => ({ go_to: "/" }));
  location.assign(answer.go_to);
}

/** Say that a request was refused because nobody is signed in any more. */
export function noteEnd(error: unknown): void {
  if (error instanceof Problem && error.kind === "not-signed-in") me.value = null;
}

/** Keep a decision while its reader signs in again; it lasts as long as the tab. */
export function keepDecision(of: string, decision: unknown): void {
  sessionStorage.setItem(DECISION, JSON.stringify({ of, decision }));
}

/** Take back the decision kept for exactly this document, once. */
export function keptDecision<T>(of: string): T | null {
  const kept = sessionStorage.getItem(DECISION);
  sessionStorage.removeItem(DECISION);
  const said = kept ? (JSON.parse(kept) as { of: string; decision: T }) : null;
  return said?.of === of ? said.decision : null;
}
