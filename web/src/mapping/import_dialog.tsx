/** A file is chosen, what it would change is read, and only then it is taken. */
import { useState } from "preact/hooks";
import { ask, send } from "../api";
import { t } from "../i18n";
import { announce } from "../parts/announcer";
import { Dialog } from "../parts/dialog";
import { changesOf, DifferenceView, FaultList } from "./difference_view";
import { explain } from "./said";
import type { Difference } from "./shapes";

interface Props {
  onClose: () => void;
  onDone: () => void;
}

export function ImportDialog({ onClose, onDone }: Props) {
  const [file, setFile] = useState<Blob | null>(null);
  const [isWhole, setWhole] = useState(false);
  const [told, setTold] = useState<Difference | null>(null);
  const look = async (chosen: Blob | null, whole: boolean) => {
    setTold(null);
    setFile(chosen);
    setWhole(whole);
    if (!chosen) return;
    try {
      setTold(await send<Difference>(`/mapping/check?whole=${whole}`, chosen));
    } catch (error) {
      explain(error);
    }
  };
  const take = async () => {
    if (!file || !told) return;
    try {
      const done = await send<Difference>(`/mapping/import?whole=${isWhole}&base=${told.version}`, file);
      announce(t("mapping.done", { n: done.version }));
      onDone();
    } catch (error) {
      explain(error);
    }
  };
  const mayTake = told !== null && !told.faults.length && changesOf(told) > 0;
  return (
    <Dialog title={t("mapping.import")} onClose={onClose} wide>
      <div class="block">
        <p class="quiet">{t("mapping.import_means")}</p>
        <label class="file">
          {t("mapping.file")}
          <input
            type="file"
            accept=".csv,.xlsx"
            onClick={(event) => (event.currentTarget.value = "")}
            onChange={(event) => void heldOf(event.currentTarget.files).then((held) => look(held, isWhole))}
          />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={isWhole}
            onChange={(event) => void look(file, event.currentTarget.checked)}
          />
          {t("mapping.whole")}
        </label>
        {told && (told.faults.length ? <FaultList told={told} /> : <DifferenceView told={told} />)}
      </div>
      <div class="dialog-deeds">
        <button class="primary" disabled={!mayTake} onClick={() => void take()}>
          {t("mapping.take")}
        </button>
        <button onClick={onClose}>{t("cancel")}</button>
      </div>
    </Dialog>
  );
}

/** Return the chosen file as it is now: who mends it meanwhile chooses it again, under the same name. */
async function heldOf(files: FileList | null): Promise<Blob | null> {
  const chosen = files?.[0];
  return chosen ? new Blob([await chosen.arrayBuffer()]) : null;
}

/** Going back shows its difference too. */
export function RollbackDialog({ version, onClose, onDone }: Props & { version: number }) {
  const [told, setTold] = useState<Difference | null>(null);
  const [isAsked, setAsked] = useState(false);
  if (!isAsked) {
    setAsked(true);
    void ask<Difference>("GET", `/mapping/rollback?version=${version}`).then(setTold, explain);
  }
  const goBack = async () => {
    if (!told) return;
    try {
      const done = await ask<Difference>("POST", "/mapping/rollback", { version, base: told.version });
      announce(t("mapping.done", { n: done.version }));
      onDone();
    } catch (error) {
      explain(error);
    }
  };
  return (
    <Dialog title={t("mapping.back_to", { n: version })} onClose={onClose} wide>
      {told ? <DifferenceView told={told} /> : <p>{t("loading")}</p>}
      <div class="dialog-deeds">
        <button class="primary" disabled={!told || !changesOf(told)} onClick={() => void goBack()}>
          {t("mapping.go_back")}
        </button>
        <button onClick={onClose}>{t("cancel")}</button>
      </div>
    </Dialog>
  );
}
