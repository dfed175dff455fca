/** What stands in an entry, in the reader's words. */
import { tOf } from "../i18n";

/** Say why something lies on the desk: each part of the reason by itself. */
export function whyOf(reason: string): string {
  const parts = reason.split(/; since then:? |: (?=patient|birth|name)/);
  return parts.map((part) => tOf("desk.why", slug(part), part)).join(": ");
}

function slug(part: string): string {
  return part
    .toLowerCase()
    .replace(/[^a-z]+/g, "_")
    .replace(/^_|_$/g, "")
    .slice(0, 48)
    .replace(/_$/, "");
}
