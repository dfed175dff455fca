/** Rows, faults and refusals in words. */
import { Problem } from "../api";
import { language, number, t, tOf } from "../i18n";
import { announce } from "../parts/announcer";
import { noteEnd } from "../session";
import type { Difference, Fault, Key, Row } from "./shapes";

/** Say a code with its system. */
export function codeOf(key: Key): string {
  return key.system ? `${key.code} (${key.system})` : key.code;
}

/** Say on which link a row holds. */
export function linkOf(key: Key): string {
  return key.link || t("mapping.every_link");
}

/** Say what a row makes of its code, in the reader's language where the row has it. */
export function meaningOf(row: Row): string {
  const name = row[language.value] || row.vi || row.en || row.fr;
  const code = [row.to_code, row.to_system && `(${row.to_system})`].filter(Boolean).join(" ");
  const rest = [row.department, row.modality, row.body_part, row.models.join(", ")];
  return [name, code, ...rest].filter(Boolean).join(" · ");
}

/** Say where a fault is, and what is wrong. */
export function faultOf(fault: Fault): string {
  const place = [fault.row && t("mapping.row", { n: fault.row }), fault.column].filter(Boolean).join(", ");
  const words = tOf("mapping.fault", fault.fault, fault.words, { said: fault.said });
  return place ? `${place}: ${words}` : words;
}

/** Say how many orders follow. */
export function ordersOf(told: Difference): string {
  if (!told.orders) return t("mapping.no_orders");
  return t(told.orders_at_least ? "mapping.orders_at_least" : "mapping.orders", { n: number(told.orders) });
}

/** Say why something was refused; a sign-in that ended is seen by the whole page. */
export function explain(error: unknown): void {
  noteEnd(error);
  const isMoved = error instanceof Problem && error.kind === "mapping-moved";
  announce(t(isMoved ? "mapping.moved" : "mapping.failed"), true);
}
