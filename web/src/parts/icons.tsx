/** Small signs. Each stands beside its word: nothing is said by a sign or a colour alone. */
import type { AiKind } from "../shapes";

const PATHS: Record<AiKind, string> = {
  found: "M8 1.5l6.5 6.5L8 14.5 1.5 8z",
  nothing: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM5 8.2l2.2 2.2L11.2 6",
  did_not_run: "M8 1.8L15 14H1zM8 6v4M8 12v.2",
  not_for_this_patient: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM3.4 12.6l9.2-9.2",
  waiting: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM8 4.5V8l2.5 2",
  none: "M3 8h10",
};

export function AiSign({ kind }: { kind: AiKind }) {
  return (
    <svg class={`ai-sign ai-${kind}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[kind]} />
    </svg>
  );
}
