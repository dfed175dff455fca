/** Keys that act on the page. They rest while one types, while a dialog is open, and with Ctrl, Alt or Meta. */
import { useEffect, useRef } from "preact/hooks";

export type Keys = Record<string, (event: KeyboardEvent) => void>;

/** Let `keys` act while the caller is on screen. Names are as in `KeyboardEvent.key`; letters are lower case. */
export function useKeys(keys: Keys): void {
  const now = useRef(keys);
  now.current = keys;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || rests(event)) return;
      const act = now.current[nameOf(event)];
      if (!act) return;
      event.preventDefault();
      act(event);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}

function nameOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return event.shiftKey && key.length > 1 ? `Shift+${key}` : key;
}

function rests(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return true;
  if (document.querySelector("dialog[open]")) return true;
  const target = event.target instanceof HTMLElement ? event.target : null;
  if (!target) return false;
  if (target.matches("input:not([type=checkbox], [type=radio]), select, textarea")) return true;
  if (target.matches("input[type=radio]") && event.key.startsWith("Arrow")) return true;
  return target.matches("a, button, summary, input") && (event.key === "Enter" || event.key === " ");
}
