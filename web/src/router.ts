/** Where the reader is: the path is the state, so that reload, back and a link work. */
import { computed, signal } from "@preact/signals";

const path = signal(location.pathname);

export type Place = { page: "worklist" } | { page: "case"; caseId: string } | { page: "ops" } | { page: "desk" } | { page: "mapping" } | { page: "links" } | { page: "message"; eventId: string };

export const place = computed<Place>(() => {
  const [, first, second] = path.value.split("/");
  if (first === "ops" || first === "desk" || first === "mapping") return { page: first };
  if (first === "links") return second ? { page: "message", eventId: second } : { page: "links" };
  return first === "case" && second ? { page: "case", caseId: second } : { page: "worklist" };
});

/** Go to a path of this page. */
export function go(to: string): void {
  if (to !== location.pathname) history.pushState(null, "", to);
  path.value = to.split("?")[0] ?? "/";
}

/** Let a link of this page be followed without loading it anew. */
export function follow(event: MouseEvent, to: string): void {
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  go(to);
}

addEventListener("popstate", () => {
  path.value = location.pathname;
});
