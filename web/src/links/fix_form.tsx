/** Mending a message that was set aside: a text field a segment, judged as the listener judges while one types. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ask, Problem } from "../api";
import { language, t, tOf } from "../i18n";
import { announce } from "../parts/announcer";
import { noteEnd } from "../session";
import type { Verdict } from "./shapes";

const QUIET_MILLISECONDS = 400;

interface Props {
  eventId: string;
  lines: string[];
  onFixed: () => Promise<void>;
}

export function FixForm({ eventId, lines: original, onFixed }: Props) {
  const [lines, setLines] = useState(original);
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const verdict = useVerdict(eventId, lines);
  const isChanged = lines.some((line, at) => line !== original[at]);
  const send = async () => {
    setBusy(true);
    try {
      await ask("POST", `/messages/${eventId}/fix`, { lines: lines.filter((line) => line.trim()), reason });
      announce(t("fix.done"));
      await onFixed();
    } catch (error) {
      noteEnd(error);
      const kind = error instanceof Problem ? error.kind : "";
      announce(tOf("fix.refused", kind, t("fix.failed")), true);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      class="block fix"
      aria-labelledby="fix"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <h2 id="fix">{t("fix.title")}</h2>
      <p class="quiet">{t("fix.means")}</p>
      {lines.map((line, at) => (
        <label key={at}>
          <span class="code">{line.slice(0, 3) || original[at]?.slice(0, 3)}</span>
          <textarea
            class="code"
            rows={Math.min(6, Math.ceil((line.length + 1) / 130))}
            value={line}
            spellcheck={false}
            onInput={(event) => {
              const text = event.currentTarget.value.replace(/[\r\n]+/g, "");
              setLines((before) => before.map((kept, index) => (index === at ? text : kept)));
            }}
          />
        </label>
      ))}
      <VerdictLine verdict={verdict} />
      <label>
        {t("fix.reason")}
        <input name="reason" value={reason} minLength={3} maxLength={300} required onInput={(event) => setReason(event.currentTarget.value)} />
      </label>
      <p>
        <button class="primary" disabled={busy || !isChanged || !verdict?.is_taken || reason.trim().length < 3}>
          {t("fix.send")}
        </button>
      </p>
    </form>
  );
}

function VerdictLine({ verdict }: { verdict: Verdict | null }) {
  if (!verdict) return <p role="status">{t("loading")}</p>;
  if (verdict.is_taken) {
    return (
      <div role="status">
        <strong>{t("fix.taken", { code: verdict.code })}</strong>
        <ul>
          {verdict.taken_as.map((said) => (
            <li key={said}>{said}</li>
          ))}
        </ul>
      </div>
    );
  }
  return (
    <div role="status" class="behind">
      <strong>{[verdict.code, verdict.condition, verdict.place].filter(Boolean).join(" ")}</strong> {verdict.sentence}
      <div>{verdict.change}</div>
    </div>
  );
}

/** Ask what the listener would say, once nobody has typed for a moment. */
function useVerdict(eventId: string, lines: string[]): Verdict | null {
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const newest = useRef(0);
  useEffect(() => {
    const mine = ++newest.current;
    const timer = setTimeout(async () => {
      try {
        const asked = { lines: lines.filter((line) => line.trim()), language: language.value };
        const said = await ask<Verdict>("POST", `/messages/${eventId}/verdict`, asked);
        if (mine === newest.current) setVerdict(said);
      } catch (error) {
        noteEnd(error);
      }
    }, QUIET_MILLISECONDS);
    return () => clearTimeout(timer);
  }, [eventId, lines, language.value]);
  return verdict;
}
