/** One message, segment by segment; the patient only for who may see him, and only when asked for: each look is recorded. */
import { useEffect, useState } from "preact/hooks";
import { ask } from "../api";
import { language, moment, t, tOf } from "../i18n";
import { announce } from "../parts/announcer";
import { follow } from "../router";
import { noteEnd } from "../session";
import { FixForm } from "./fix_form";
import { Outcome } from "./message_search";
import type { Message, Segment } from "./shapes";

export function MessagePage({ eventId }: { eventId: string }) {
  const [message, setMessage] = useState<Message | null | undefined>(undefined);
  const load = async () => {
    try {
      setMessage(await ask<Message>("GET", `/messages/${eventId}?language=${language.value}`));
    } catch (error) {
      noteEnd(error);
      setMessage(null);
    }
  };
  const open = async () => {
    try {
      setMessage(await ask<Message>("POST", `/messages/${eventId}/open?language=${language.value}`));
      announce(t("messages.look_recorded"));
    } catch (error) {
      noteEnd(error);
      announce(t("messages.open_failed"), true);
    }
  };
  useEffect(() => {
    setMessage(undefined);
    void load();
  }, [eventId, language.value]);
  useEffect(() => {
    document.title = `${t("messages.title")} · Overread`;
  }, [language.value]);
  if (message === undefined) return <main class="calm">{t("loading")}</main>;
  return (
    <main class="ops message">
      <a href="/links" onClick={(event) => follow(event, "/links")}>
        ← {t("links.title")}
      </a>
      {message === null ? <p role="status">{t("messages.not_there")}</p> : <Shown message={message} onOpen={open} onFixed={load} />}
    </main>
  );
}

interface ShownProps {
  message: Message;
  onOpen: () => Promise<void>;
  onFixed: () => Promise<void>;
}

function Shown({ message, onOpen, onFixed }: ShownProps) {
  const row = message.message;
  const isOpen = row.outcome === "set_aside" && !row.answered_by;
  return (
    <>
      <div class="ops-head">
        <h1>
          {t("messages.title")} <span class="code">{row.message_control_id}</span>
        </h1>
        <span class="code">{`${row.message_type}^${row.trigger_event} · ${row.link_id}`}</span>
        <span class="quiet">{moment(row.received_at)}</span>
      </div>
      <dl class="facts">
        <dt>{t("messages.outcome")}</dt>
        <dd>
          <Outcome row={row} />
        </dd>
        {message.used_for.length > 0 && (
          <>
            <dt>{t("messages.used_for")}</dt>
            <dd>{message.used_for.map((use) => `${tOf("messages.use", use.kind)} ${use.id}`.trim()).join(", ")}</dd>
          </>
        )}
        <Other word="messages.answered_by" eventId={row.answered_by} />
        <Other word="messages.corrects" eventId={row.corrects} />
        <dt>{t("ops.place")}</dt>
        <dd class="code">{row.place}</dd>
      </dl>
      {message.may_show_patient && !message.shows_patient && message.segments && (
        <p>
          <button class="primary" onClick={() => void onOpen()}>
            {isOpen ? t("messages.open_to_fix") : t("messages.open")}
          </button>{" "}
          <span class="quiet">{t("messages.open_means")}</span>
        </p>
      )}
      {isOpen && message.lines && <FixForm key={row.event_id} eventId={row.event_id} lines={message.lines} onFixed={onFixed} />}
      {message.segments ? message.segments.map((segment) => <SegmentBlock key={`${segment.name}${segment.sequence}`} segment={segment} />) : <p>{t("messages.not_kept")}</p>}
    </>
  );
}

function Other({ word, eventId }: { word: "messages.answered_by" | "messages.corrects"; eventId: string | null }) {
  if (!eventId) return null;
  return (
    <>
      <dt>{t(word)}</dt>
      <dd>
        <a class="code" href={`/links/${eventId}`} onClick={(event) => follow(event, `/links/${eventId}`)}>
          {eventId}
        </a>
      </dd>
    </>
  );
}

function SegmentBlock({ segment }: { segment: Segment }) {
  const named = `segment-${segment.name}-${segment.sequence}`;
  return (
    <section class="segment" aria-labelledby={named}>
      <h2 id={named}>
        <span class="code">{segment.sequence > 1 ? `${segment.name} (${segment.sequence})` : segment.name}</span> {segment.title}
      </h2>
      <table>
        <tbody>
          {segment.fields.map((field) => (
            <tr key={field.place} data-field={field.place}>
              <th scope="row">
                <span class="code">{field.place}</span> {field.name}
              </th>
              <td class={field.is_hidden ? "quiet" : ""}>
                {field.values.map((value, at) => (
                  <div key={at}>{value}</div>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
