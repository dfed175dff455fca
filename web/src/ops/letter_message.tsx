/** Which HL7 messages lie among the dead letters: each leads to its page, where it is shown and mended. */
import { useEffect, useState } from "preact/hooks";
import { ask } from "../api";
import { t } from "../i18n";
import type { Found, MessageRow } from "../links/shapes";
import { follow } from "../router";
import { noteEnd } from "../session";

const LETTERS_OF_MESSAGES = "hl7.received.dead";
const MOST = 200;

/** Return the newest messages that were set aside, by the place that they came from. */
export function useSetAside(topics: string[]): Map<string, MessageRow> {
  const [rows, setRows] = useState<Map<string, MessageRow>>(new Map());
  const count = topics.filter((topic) => topic === LETTERS_OF_MESSAGES).length;
  useEffect(() => {
    if (!count) return;
    ask<Found>("POST", "/messages/search", { outcome: "set_aside", limit: MOST })
      .then((found) => setRows(new Map(found.items.map((row) => [row.place, row]))))
      .catch(noteEnd);
  }, [count]);
  return rows;
}

export function LetterMessage({ row }: { row: MessageRow | undefined }) {
  if (!row) return null;
  const to = `/links/${row.event_id}`;
  return (
    <div>
      <a class="code" href={to} onClick={(event) => follow(event, to)}>
        {row.message_control_id}
      </a>
      {row.answered_by && <span class="quiet"> · {t("messages.answered")}</span>}
    </div>
  );
}
