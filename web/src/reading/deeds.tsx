/** What the reader may do now, as buttons with their keys. */
import { signal } from "@preact/signals";
import { t, type Word } from "../i18n";
import type { Keys } from "../keys";
import { announce } from "../parts/announcer";
import type { Act, Reading } from "../shapes";
import { DeedDialog, type Asked } from "./deed_dialog";
import { editText } from "./sign_panel";
import { act, decide, goOn, isBusy, mayDecide, reading, sign, signInAgain, stage, undecide } from "./state";

const asked = signal<Asked | null>(null);

/** The keys of the decision; those of the picture are the picture's. */
export const deedKeys: Keys = {
  a: accept,
  c: () => begin("change"),
  r: () => begin("reject"),
  b: () => askFor("reject"),
  s: () => (stage.value === "sign" ? void sign() : announce(t("sign.decide_first"), true)),
  t: () => stage.value === "sign" && editText(),
  g: () => void (looksAndMay("release") && giveBack()),
  w: askToWithdraw,
  e: () => void again(),
  l: () => askFor("release-held"),
  u: () => askFor("no-change"),
  p: () => void (looksAndMay("resubmit") && act("resubmit")),
  Enter: () => void (may("claim") && act("claim")),
};

export function Deeds() {
  const now = reading.value;
  if (!now) return null;
  return (
    <div class="deeds">
      {stage.value === "sign" ? <Signing reading={now} /> : stage.value === "look" && <Looking reading={now} />}
      {asked.value && <DeedDialog asked={asked.value} reading={now} onClose={() => (asked.value = null)} />}
    </div>
  );
}

function Signing({ reading }: { reading: Reading }) {
  const isFresh = reading.signing.is_fresh;
  return (
    <>
      <Deed word={isFresh ? "sign.do" : "sign.again"} key_="s" isMain onDo={() => void (isFresh ? sign() : signInAgain())} />
      <Deed word="sign.back" key_="Esc" onDo={undecide} />
    </>
  );
}

function Looking({ reading }: { reading: Reading }) {
  const acts = reading.report?.allowed_actions ?? [];
  const decides = mayDecide(reading);
  return (
    <>
      {decides && (
        <>
          <Deed word="deed.accept" key_="a" isMain onDo={accept} />
          <Deed word="deed.change" key_="c" onDo={() => begin("change")} />
          <Deed word="deed.reject_ai" key_="r" onDo={() => begin("reject")} />
        </>
      )}
      {acts.includes("claim") && <Deed word="deed.claim" key_="Enter" isMain onDo={() => void act("claim")} />}
      {reading.task?.may_answer && <TaskDeeds />}
      {acts.includes("confirm-again") && (
        <Deed word="deed.confirm_again" key_="e" isMain onDo={() => void again()} />
      )}
      {acts.includes("release-held") && <Deed word="deed.release_held" key_="l" onDo={() => askFor("release-held")} />}
      <Rest acts={acts} decides={decides} />
    </>
  );
}

function TaskDeeds() {
  return (
    <>
      <Deed word="deed.read_again" key_="e" isMain onDo={() => void again()} />
      <Deed word="deed.no_change" key_="u" onDo={() => askFor("no-change")} />
    </>
  );
}

function Rest({ acts, decides }: { acts: Act[]; decides: boolean }) {
  return (
    <div class="rest">
      {acts.includes("reject") && <Deed word="deed.send_back" key_="b" isSmall onDo={() => askFor("reject")} />}
      {acts.includes("release") && <Deed word="deed.release" key_="g" isSmall onDo={() => void giveBack()} />}
      {acts.includes("resubmit") && <Deed word="deed.resubmit" key_="p" isSmall onDo={() => void act("resubmit")} />}
      {acts.includes("withdraw") && !decides && (
        <Deed word="deed.withdraw" key_="w" isSmall onDo={() => askFor("withdraw")} />
      )}
      {acts.includes("withdraw-final") && (
        <Deed word="deed.withdraw_final" key_="w" isSmall onDo={() => askFor("withdraw-final")} />
      )}
      <Deed word="deed.next" key_="n" isSmall onDo={() => void goOn(true)} />
    </div>
  );
}

interface DeedProps {
  word: Word;
  key_?: string;
  isMain?: boolean;
  isSmall?: boolean;
  onDo: () => void;
}

function Deed({ word, key_, isMain, isSmall, onDo }: DeedProps) {
  return (
    <button class={isMain ? "primary" : isSmall ? "plain" : ""} disabled={isBusy.value} onClick={onDo}>
      {t(word)} {key_ && <kbd>{key_}</kbd>}
    </button>
  );
}

function accept(): void {
  if (stage.value !== "look" || !mayDecide(reading.value)) return;
  decide({ verdict: "accepted", findings: null, reasons: [], conclusion: "" });
}

function begin(which: "change" | "reject"): void {
  if (stage.value === "look" && mayDecide(reading.value)) stage.value = which;
}

function askFor(what: Asked): void {
  const isTask = what === "no-change" && reading.value?.task?.may_answer;
  if (stage.value === "look" && (isTask || may(what as Act))) asked.value = what;
}

function askToWithdraw(): void {
  if (may("withdraw-final")) askFor("withdraw-final");
  else if (!mayDecide(reading.value)) askFor("withdraw");
}

async function giveBack(): Promise<void> {
  if (await act("release")) await goOn();
}

/** Read the case anew: because of new images, or because the report is held. */
async function again(): Promise<void> {
  const task = reading.value?.task;
  if (stage.value !== "look") return;
  if (task?.may_answer) await act(`tasks/${task.task_id}/read-again`);
  else if (may("confirm-again")) await act("confirm-again");
}

function looksAndMay(what: Act): boolean {
  return stage.value === "look" && may(what);
}

function may(what: Act): boolean {
  return Boolean(reading.value?.report?.allowed_actions.includes(what));
}
