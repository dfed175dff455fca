/** Every decision is confirmed, with its reason; two patients need the word that they are one. */
import { useRef, useState } from "preact/hooks";
import { t, tOf } from "../i18n";
import { Dialog } from "../parts/dialog";
import { decide, dismiss, pair, undo, undoAttaches } from "./state";

export type Deed = "attach" | "keep_apart" | "detach" | "dismiss" | "undo";

export function DecisionDialog({ deed, onClose }: { deed: Deed; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const [isOnePatient, setOnePatient] = useState(false);
  const attaches = deed === "attach" || (deed === "undo" && undoAttaches());
  const isConflict = attaches && Boolean(pair.value?.conflict);
  const isReady = reason.trim() !== "" && (!isConflict || isOnePatient);
  const form = useRef<HTMLFormElement>(null);
  const send = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !event.ctrlKey || event.isComposing) return;
    event.preventDefault();
    form.current?.requestSubmit();
  };
  const doIt = async (event: Event) => {
    event.preventDefault();
    if (!isReady) return;
    onClose();
    if (deed === "dismiss") await dismiss(reason.trim());
    else if (deed === "undo") await undo(reason.trim(), isOnePatient);
    else await decide(deed, reason.trim(), isOnePatient);
  };
  return (
    <Dialog title={tOf("desk.deed", deed)} onClose={onClose}>
      <p>{tOf("desk.deed_means", deed)}</p>
      <form ref={form} onSubmit={(event) => void doIt(event)} onKeyDown={send}>
        <label>
          {t("reason.words")}
          <textarea
            rows={2}
            maxLength={450}
            required
            value={reason}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
        </label>
        <p class="quiet">{t("reason.no_names")}</p>
        {isConflict && (
          <label class="check">
            <input
              type="checkbox"
              required
              checked={isOnePatient}
              onChange={(event) => setOnePatient(event.currentTarget.checked)}
            />
            {t("desk.one_patient")}
          </label>
        )}
        <div class="dialog-deeds">
          <button type="submit" class="primary" disabled={!isReady}>
            {tOf("desk.deed", deed)} <kbd>Ctrl Enter</kbd>
          </button>
          <button type="button" onClick={onClose}>
            {t("cancel")} <kbd>Esc</kbd>
          </button>
        </div>
      </form>
    </Dialog>
  );
}
