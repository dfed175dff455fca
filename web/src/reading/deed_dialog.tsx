/** Deeds that ask why: send back, let a held report go, take one back, say that new images change nothing. */
import { useState } from "preact/hooks";
import { t, tOf, type Word } from "../i18n";
import { announce } from "../parts/announcer";
import { Dialog } from "../parts/dialog";
import { nameOf } from "../parts/patient";
import type { Reading } from "../shapes";
import { act, goOn } from "./state";

export type Asked = "reject" | "release-held" | "withdraw" | "withdraw-final" | "no-change";

const SEND_BACK = [
  "wrong_patient",
  "wrong_study",
  "poor_image_quality",
  "findings_unusable",
  "needs_another_reader",
  "other",
] as const;

const TITLES: Record<Asked, Word> = {
  reject: "deed.send_back",
  "release-held": "deed.release_held",
  withdraw: "deed.withdraw",
  "withdraw-final": "deed.withdraw_final",
  "no-change": "deed.no_change",
};

const MEANINGS: Record<Asked, Word> = {
  reject: "deed.send_back.means",
  "release-held": "deed.release_held.means",
  withdraw: "deed.withdraw.means",
  "withdraw-final": "deed.withdraw_final.means",
  "no-change": "deed.no_change.means",
};

interface Props {
  asked: Asked;
  reading: Reading;
  onClose: () => void;
}

export function DeedDialog({ asked, reading, onClose }: Props) {
  const [typed, setTyped] = useState("");
  const [words, setWords] = useState("");
  const [isWrongPatient, setWrongPatient] = useState(false);
  const isAboutOrder = asked === "no-change" && reading.task?.kind === "other_order";
  const isReady = asked === "reject" ? typed !== "" : words.trim() !== "";
  const doIt = async (event: Event) => {
    event.preventDefault();
    if (!isReady) return;
    onClose();
    await perform(asked, reading, { typed, words: words.trim(), isWrongPatient });
  };
  return (
    <Dialog title={t(TITLES[asked])} onClose={onClose}>
      <p>{t(isAboutOrder ? "deed.no_change.order_means" : MEANINGS[asked])}</p>
      <p class="whose">
        {nameOf(reading.row.patient)} · <span class="code">{reading.row.accession_numbers.join(", ")}</span>
      </p>
      <form onSubmit={(event) => void doIt(event)}>
        {asked === "reject" && (
          <label>
            {t("reason.choose")}
            <select required value={typed} onChange={(event) => setTyped(event.currentTarget.value)}>
              <option value="" />
              {SEND_BACK.map((reason) => (
                <option key={reason} value={reason}>
                  {tOf("send_back", reason)}
                </option>
              ))}
            </select>
          </label>
        )}
        <label>
          {t(asked === "reject" ? "reason.comment" : "reason.words")}
          <textarea
            rows={2}
            maxLength={450}
            required={asked !== "reject"}
            value={words}
            onInput={(event) => setWords(event.currentTarget.value)}
          />
        </label>
        <p class="quiet">{t("reason.no_names")}</p>
        {asked === "withdraw-final" && (
          <label class="check">
            <input
              type="checkbox"
              checked={isWrongPatient}
              onChange={(event) => setWrongPatient(event.currentTarget.checked)}
            />
            {t("withdraw.wrong_patient")}
          </label>
        )}
        <div class="dialog-deeds">
          <button type="submit" class={asked.startsWith("withdraw") ? "danger" : "primary"} disabled={!isReady}>
            {t(asked === "withdraw-final" ? "withdraw.sign" : TITLES[asked])}
          </button>
          <button type="button" onClick={onClose}>
            {t("cancel")} <kbd>Esc</kbd>
          </button>
        </div>
      </form>
    </Dialog>
  );
}

interface Said {
  typed: string;
  words: string;
  isWrongPatient: boolean;
}

async function perform(asked: Asked, reading: Reading, said: Said): Promise<void> {
  if (asked === "reject") {
    if (await act("reject", { reason: said.typed, comment: said.words })) {
      announce(t("sent_back.done"));
      await goOn();
    }
    return;
  }
  const deed = asked === "no-change" ? `tasks/${reading.task?.task_id}/no-change` : asked;
  const withdrawn = { digest: reading.report?.digest, is_wrong_patient: said.isWrongPatient };
  const more = asked === "withdraw-final" ? withdrawn : asked === "release-held" ? { case_revision: reading.case.revision } : {};
  const isDone = await act(deed, { reason: said.words, ...more });
  if (isDone) announce(t("deed.done"));
}
