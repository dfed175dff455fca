/** What may be decided about what is shown; the server asks the same again. */
import type { Deed } from "./decision_dialog";
import type { Entry, Pair } from "./shapes";
import { entries, keyOf } from "./state";

export function deedsFor(entry: Entry | null, pair: Pair | null): Deed[] {
  if (!entry) return [];
  const ofPair: Deed[] = !pair ? [] : pair.is_linked ? ["detach"] : ["attach", "keep_apart"];
  const isDecided = pair?.decisions.some((one) => !one.is_undone) ?? false;
  const confirmed: Deed[] = pair?.is_linked && entry.kind === "order" ? ["attach"] : [];
  const lies = entries.value?.some((one) => keyOf(one) === keyOf(entry)) ?? false;
  const further: Deed[] = [...(isDecided ? (["undo"] as const) : []), ...(lies ? (["dismiss"] as const) : [])];
  return [...confirmed, ...ofPair, ...further];
}
