/** What was set aside, why, and giving it back to the service that could not use it. */
import { useState } from "preact/hooks";
import { ask } from "../api";
import { moment, t } from "../i18n";
import { announce } from "../parts/announcer";
import { noteEnd } from "../session";
import type { DeadLetters } from "../shapes";
import { LetterMessage, useSetAside } from "./letter_message";

interface Props {
  dead: DeadLetters;
  onReplayed: () => void;
}

export function DeadList({ dead, onReplayed }: Props) {
  const [busy, setBusy] = useState("");
  const messages = useSetAside(dead.items.map((letter) => letter.topic));
  const replay = async (place: string) => {
    setBusy(place);
    try {
      const answer = await ask<{ given_back: unknown[] }>("POST", "/ops/dead/replay", { places: [place] });
      announce(t("ops.replayed", { n: answer.given_back.length }));
      onReplayed();
    } catch (error) {
      noteEnd(error);
      announce(t("ops.replay_failed"), true);
    } finally {
      setBusy("");
    }
  };
  return (
    <div class="block">
      <h2 id="dead">
        {t("ops.dead")} <span class="count">{dead.total}</span>
      </h2>
      {!dead.items.length && !dead.objects.length && <p class="quiet">{t("ops.no_dead")}</p>}
      {dead.items.length > 0 && (
        <div class="scrolls" tabIndex={0} role="region" aria-labelledby="dead">
          <table class="dead">
            <thead>
              <tr>
                <th scope="col">{t("ops.reason")}</th>
                <th scope="col">{t("ops.reader")}</th>
                <th scope="col">{t("ops.place")}</th>
                <th scope="col">{t("ops.replay")}</th>
              </tr>
            </thead>
            <tbody>
              {dead.items.map((letter) => (
                <tr key={letter.place} data-place={letter.place}>
                  <td lang="en">
                    <strong>{letter.kind}</strong> {letter.reason}
                    <LetterMessage row={messages.get(letter.source)} />
                  </td>
                  <td class="code">{letter.consumer}</td>
                  <td>
                    <span class="code">{letter.place}</span>
                    <div class="quiet">
                      {[moment(letter.set_aside_at), letter.replay_attempt ? t("ops.attempt", { n: letter.replay_attempt }) : ""]
                        .filter(Boolean)
                        .join(" · ")}
                    </div>
                  </td>
                  <td>
                    {letter.may_replay && !messages.get(letter.source)?.answered_by ? (
                      <button
                        disabled={busy === letter.place}
                        aria-label={`${t("ops.replay")} ${letter.place}`}
                        onClick={() => void replay(letter.place)}
                      >
                        {t("ops.replay")}
                      </button>
                    ) : (
                      <span class="quiet">{letter.how === "resubmit" ? t("ops.resubmit") : ""}</span>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {dead.objects.length > 0 && (
        <>
          <h3>{t("ops.objects")}</h3>
          <ul class="steps">
            {dead.objects.map((object) => (
              <li key={object.object_key}>
                <span class="code">{object.object_key}</span>
                <span class="quiet">{`${object.reason} · ${moment(object.at)}`}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
