/** The desk: orders and studies that do not fit by themselves; a person decides. Only for reconcilers. */
import { useEffect, useState } from "preact/hooks";
import { language, moment, t, tOf } from "../i18n";
import { useKeys } from "../keys";
import { announce } from "../parts/announcer";
import { Help, openHelp } from "../parts/help";
import { CandidateList } from "./candidate_list";
import { DecisionDialog, type Deed } from "./decision_dialog";
import { deedsFor } from "./deeds";
import { SideBySide } from "./side_by_side";
import type { Entry, EntryKind } from "./shapes";
import { candidates, choose, chosen, compare, entries, keyOf, kind, more, next, pair, refresh, show } from "./state";
import { whyOf } from "./words";

const SECONDS = 5;
const PARTS: readonly EntryKind[] = ["doubt", "no_order", "no_images"];

export function DeskPage() {
  const [asked, setAsked] = useState<Deed | null>(null);
  useEffect(() => {
    void refresh();
    const timer = setInterval(() => {
      if (!document.querySelector("dialog[open]")) void refresh();
    }, SECONDS * 1000);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    document.title = `${t("desk.title")} · Overread`;
  }, [language.value]);
  const begin = (deed: Deed) => () => {
    if (deedsFor(chosen.value, pair.value).includes(deed)) setAsked(deed);
    else if (chosen.value && !pair.value) sayWhatIsMissing();
  };
  useKeys({
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    ArrowRight: () => turn(1),
    ArrowLeft: () => turn(-1),
    a: begin("attach"),
    r: begin("keep_apart"),
    d: begin("detach"),
    x: begin("dismiss"),
    u: begin("undo"),
    "?": openHelp,
  });
  return (
    <main class="desk">
      <div class="worklist-head">
        <h1>{t("desk.title")}</h1>
        <div class="views" role="group" aria-label={t("desk.parts")}>
          {PARTS.map((part) => (
            <button key={part} aria-pressed={kind.value === part} onClick={() => show(part)}>
              {tOf("desk.part", part)}
            </button>
          ))}
        </div>
        <p class="quiet">{tOf("desk.means", kind.value)}</p>
      </div>
      <div class="desk-parts">
        <EntryList />
        <section class="desk-pair" tabIndex={0} aria-label={t("desk.compared")}>
          {!chosen.value && <p class="quiet">{t("desk.choose")}</p>}
          {chosen.value && chosen.value.reason && <p class="note note-warn">{whyOf(chosen.value.reason)}</p>}
          {candidates.value && <CandidateList found={candidates.value} />}
          {pair.value && <SideBySide pair={pair.value} />}
          {chosen.value && <Deeds onAsked={setAsked} />}
        </section>
      </div>
      {asked && <DecisionDialog deed={asked} onClose={() => setAsked(null)} />}
      <Help />
    </main>
  );
}

function EntryList() {
  const found = entries.value;
  return (
    <nav class="desk-list" aria-label={t("desk.list")}>
      {!found && <p class="quiet">{t("loading")}</p>}
      {found?.length === 0 && <p class="quiet">{t("desk.nothing")}</p>}
      <ul>
        {found?.map((entry) => (
          <li key={keyOf(entry)}>
            <EntryLine entry={entry} />
          </li>
        ))}
      </ul>
      {next.value && <button onClick={() => void more()}>{t("desk.more")}</button>}
    </nav>
  );
}

function EntryLine({ entry }: { entry: Entry }) {
  const isChosen = chosen.value !== null && keyOf(chosen.value) === keyOf(entry);
  return (
    <button class="desk-entry" aria-pressed={isChosen} data-subject={entry.subject} onClick={() => choose(entry)}>
      <strong>{tOf("desk.kind", entry.kind)}</strong>
      {entry.reason && <span>{whyOf(entry.reason)}</span>}
      <span class="quiet">{moment(entry.raised_at)}</span>
    </button>
  );
}

function Deeds({ onAsked }: { onAsked: (deed: Deed) => void }) {
  return (
    <div class="form-deeds">
      {deedsFor(chosen.value, pair.value).map((deed) => (
        <button key={deed} class={deed === "attach" ? "primary" : ""} onClick={() => onAsked(deed)}>
          {tOf("desk.deed", deed)} <kbd>{KEYS[deed]}</kbd>
        </button>
      ))}
    </div>
  );
}

const KEYS: Record<Deed, string> = { attach: "a", keep_apart: "r", detach: "d", dismiss: "x", undo: "u" };

function move(by: number): void {
  const found = entries.value ?? [];
  const at = found.findIndex((entry) => chosen.value && keyOf(entry) === keyOf(chosen.value));
  const to = found[Math.min(Math.max(at + by, 0), found.length - 1)];
  if (!to) return;
  choose(to);
  document.querySelector<HTMLElement>(`[data-subject="${to.subject}"]`)?.focus();
}

/** A decision is about two sides: say that the other one is not chosen yet, or that there is none. */
function sayWhatIsMissing(): void {
  const found = candidates.value;
  if (found) announce(t(found.candidates.length > 0 ? "desk.choose_first" : "desk.no_candidate"));
}

/** Compare with the candidate beside the one that is shown. */
function turn(by: number): void {
  const found = candidates.value;
  if (!found || found.candidates.length === 0) return;
  const at = found.candidates.findIndex(
    (one) =>
      (one.order && one.order.order_id === pair.value?.order.order_id) ||
      (one.study && one.study.case_id === pair.value?.study.case_id),
  );
  const to = found.candidates[Math.min(Math.max(at + by, 0), found.candidates.length - 1)];
  const caseId = found.study?.case_id ?? to?.study?.case_id;
  const orderId = found.order?.order_id ?? to?.order?.order_id;
  if (caseId && orderId) void compare(caseId, orderId);
}
