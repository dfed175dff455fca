/** What just happened, said for a moment, to eyes and to a screen reader. */
import { signal } from "@preact/signals";

const said = signal<{ text: string; isBad: boolean } | null>(null);
const SECONDS = 6;
let timer = 0;

/** Say `text` for a few seconds. */
export function announce(text: string, isBad = false): void {
  clearTimeout(timer);
  said.value = { text, isBad };
  timer = window.setTimeout(() => (said.value = null), SECONDS * 1000);
}

export function Announcer() {
  const now = said.value;
  return (
    <div class="said" role="status" aria-live="polite">
      {now && <p class={now.isBad ? "bad" : "good"}>{now.text}</p>}
    </div>
  );
}
