/** Where the report is, and what comes next: said in words for every state. */
import { moment, t, tOf, type Word } from "../i18n";
import { me } from "../session";
import type { Reading } from "../shapes";
import { mayDecide } from "./state";

export function Situation({ reading }: { reading: Reading }) {
  const { report, row, images } = reading;
  const said = situationOf(reading);
  return (
    <>
      {said && (
        <div class={`note ${said.isCalm ? "" : "note-warn"}`} role="note">
          <strong>{t(said.word, said.filled)}</strong>
          <p>{t(`${said.word}.next` as Word, said.filled)}</p>
          {report?.reason && ["held", "rejected", "withdrawn"].includes(report.state) && (
            <p class="quiet">{reasonOf(report.reason)}</p>
          )}
        </div>
      )}
      {reading.case.read_elsewhere && report && ["signed", "held", "final"].includes(report.state) && (
        <div class="note" role="note">
          <strong>{t("situation.also_read_elsewhere", readBy(reading))}</strong>
          <p>{t("situation.also_read_elsewhere.next")}</p>
        </div>
      )}
      {reading.task && (
        <div class="note note-warn" role="note">
          <strong>{t(`situation.${reading.task.kind}` as Word)}</strong>
          <p>{t(`situation.${reading.task.kind}.next` as Word)}</p>
        </div>
      )}
      {images && !images.are_all && !reading.task && row.status !== "arriving" && (
        <div class="note note-warn" role="note">
          <strong>{t("situation.more_images")}</strong>
          <p>{t("situation.more_images.next")}</p>
        </div>
      )}
    </>
  );
}

interface Said {
  word: Word;
  filled?: Record<string, string>;
  isCalm?: boolean;
}

function situationOf(reading: Reading): Said | null {
  const { report, row } = reading;
  if (row.status === "read_elsewhere") return { word: "situation.read_elsewhere", filled: readBy(reading), isCalm: true };
  if (!report) return { word: row.status === "arriving" ? "situation.arriving" : "situation.waiting_for_ai", isCalm: true };
  switch (report.state) {
    case "drafted":
      return { word: "situation.drafted", isCalm: true };
    case "rejected":
      return { word: "situation.rejected" };
    case "in_review":
      return inReview(reading);
    case "signed":
      return { word: "situation.signed", isCalm: true };
    case "held":
      return { word: "situation.held" };
    case "final":
      return { word: "situation.final", filled: signedBy(reading), isCalm: true };
    case "withdrawn":
      return { word: report.document.withdrawal ? "situation.withdrawn_final" : "situation.withdrawn" };
    default:
      return { word: "situation.over" };
  }
}

function inReview(reading: Reading): Said | null {
  const { report, not_signable } = reading;
  if (report && report.claimed_by !== me.value?.subject) {
    return { word: "situation.by_another", filled: { who: report.claimed_by } };
  }
  if (not_signable && not_signable.kind !== "claimed-by-another" && not_signable.kind !== "not-entitled") {
    return { word: "situation.not_signable" };
  }
  return mayDecide(reading) ? null : { word: "situation.may_not_sign" };
}

function signedBy({ report }: Reading): Record<string, string> {
  const signer = report?.document.signed_by;
  const who = [signer?.family_name, signer?.given_name].filter(Boolean).join(" ") || signer?.subject || "";
  return { who, when: moment(report?.document.signed_at ?? null) };
}

function readBy({ case: { read_elsewhere } }: Reading): Record<string, string> {
  return { who: read_elsewhere?.reporter || t("elsewhere.unnamed"), when: moment(read_elsewhere?.reported_at ?? null) };
}

/** A typed reason in the reader's language, with the words that were written beside it. */
function reasonOf(reason: string): string {
  const [typed = "", ...words] = reason.split(": ");
  return [tOf("send_back", typed), ...words].join(": ");
}
