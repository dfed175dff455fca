/** All keys, on `?`. */
import { signal } from "@preact/signals";
import { t, type Word } from "../i18n";
import { place } from "../router";
import { Dialog } from "./dialog";

const isOpen = signal(false);

export function openHelp(): void {
  isOpen.value = true;
}

const LIST: readonly (readonly [string, Word])[] = [
  ["j  k  ↓  ↑", "help.move"],
  ["Enter", "help.open_case"],
  ["/", "help.search"],
];

const READING: readonly (readonly [string, Word])[] = [
  ["a", "help.accept"],
  ["c", "help.change"],
  ["r", "help.reject_ai"],
  ["b", "help.send_back"],
  ["s", "help.sign"],
  ["t", "help.edit_text"],
  ["g", "help.give_back"],
  ["e", "help.again"],
  ["u", "help.no_change"],
  ["l", "help.let_go"],
  ["p", "help.resubmit"],
  ["w", "help.withdraw"],
  ["Esc", "help.back"],
  ["n", "help.next"],
  ["↓  ↑  PgDn  PgUp", "help.scroll"],
  ["[  ]", "help.series"],
  ["1 … 5", "help.windows"],
  ["i", "help.invert"],
  ["+  −  0", "help.zoom"],
  ["Shift + ← → ↑ ↓", "help.pan"],
  ["m", "help.measure"],
  ["o", "help.overlay"],
];

const DESK: readonly (readonly [string, Word])[] = [
  ["j  k  ↓  ↑", "help.move"],
  ["←  →", "help.desk_candidate"],
  ["a", "help.desk_attach"],
  ["r", "help.desk_apart"],
  ["d", "help.desk_detach"],
  ["x", "help.desk_dismiss"],
  ["u", "help.desk_undo"],
];

export function Help() {
  if (!isOpen.value) return null;
  const keys = place.value.page === "case" ? READING : place.value.page === "desk" ? DESK : LIST;
  return (
    <Dialog title={t("help.title")} wide={keys === READING} onClose={() => (isOpen.value = false)}>
      <dl class="keys">
        {keys.map(([key, word]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{t(word)}</dd>
          </div>
        ))}
      </dl>
      <form method="dialog">
        <button class="primary">{t("close")}</button>
      </form>
    </Dialog>
  );
}
