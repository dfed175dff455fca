/** Looking for a message. What is looked for goes in the request's body: a patient's number stands in no address. */
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import { ask } from "../api";
import { language, moment, t } from "../i18n";
import { announce } from "../parts/announcer";
import { follow } from "../router";
import { me, noteEnd } from "../session";
import type { Found, MessageRow } from "./shapes";

type Name = "control_id" | "accession_number" | "order_number" | "patient_id" | "link_id" | "outcome";

/** What was found last stays while one looks at a message, and is gone when the tab is. */
const found = signal<Found | null>(null);
const wanted = signal<Partial<Record<Name, string>>>({});

export function MessageSearch() {
  const [busy, setBusy] = useState(false);
  const look = async (before: string | null) => {
    setBusy(true);
    try {
      const asked = Object.fromEntries(Object.entries(wanted.value).filter(([, value]) => value.trim()));
      const page = await ask<Found>("POST", "/messages/search", { ...asked, before, language: language.value });
      found.value = before && found.value ? { items: [...found.value.items, ...page.items], next: page.next } : page;
      announce(t("messages.found", { n: found.value.items.length }));
    } catch (error) {
      noteEnd(error);
      announce(t("messages.search_failed"), true);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="block">
      <h2 id="search">{t("messages.search")}</h2>
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault();
          void look(null);
        }}
      >
        <Field name="control_id" />
        <Field name="accession_number" />
        <Field name="order_number" />
        {me.value?.roles.includes("integrator") && <Field name="patient_id" />}
        <Field name="link_id" />
        <label>
          {t("messages.outcome")}
          <select value={wanted.value.outcome ?? ""} onChange={(event) => want("outcome", event.currentTarget.value)}>
            <option value="">{t("messages.any")}</option>
            <option value="used">{t("messages.used")}</option>
            <option value="set_aside">{t("messages.set_aside")}</option>
          </select>
        </label>
        <button class="primary" disabled={busy}>
          {t("messages.look")}
        </button>
      </form>
      {found.value && <Results found={found.value} onMore={() => void look(found.value?.next ?? null)} />}
    </div>
  );
}

function want(name: Name, value: string): void {
  wanted.value = { ...wanted.value, [name]: value };
}

function Field({ name }: { name: Exclude<Name, "outcome"> }) {
  return (
    <label>
      {t(`messages.${name}`)}
      <input
        name={name}
        value={wanted.value[name] ?? ""}
        maxLength={199}
        autoComplete="off"
        spellcheck={false}
        onInput={(event) => want(name, event.currentTarget.value)}
      />
    </label>
  );
}

function Results({ found: { items, next }, onMore }: { found: Found; onMore: () => void }) {
  if (!items.length) return <p class="quiet">{t("messages.none")}</p>;
  return (
    <>
      <div class="scrolls" tabIndex={0} role="region" aria-labelledby="search">
        <table class="messages">
          <thead>
            <tr>
              <th scope="col">{t("messages.control_id")}</th>
              <th scope="col">{t("messages.received")}</th>
              <th scope="col">{t("links.link")}</th>
              <th scope="col">{t("messages.type")}</th>
              <th scope="col">{t("messages.outcome")}</th>
            </tr>
          </thead>
          <tbody>
            {items.map((row) => (
              <tr key={row.event_id} data-event={row.event_id}>
                <th scope="row" class="code">
                  <a href={`/links/${row.event_id}`} onClick={(event) => follow(event, `/links/${row.event_id}`)}>
                    {row.message_control_id}
                  </a>
                </th>
                <td>{moment(row.received_at)}</td>
                <td class="code">{row.link_id}</td>
                <td class="code">{`${row.message_type}^${row.trigger_event}`}</td>
                <td>
                  <Outcome row={row} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {next && <button onClick={onMore}>{t("messages.more")}</button>}
    </>
  );
}

export function Outcome({ row }: { row: MessageRow }) {
  return (
    <>
      <span class={row.outcome === "set_aside" && !row.answered_by ? "behind" : ""}>
        {row.answered_by ? t("messages.answered") : t(`messages.${row.outcome}`)}
      </span>
      {row.corrects && <span class="quiet"> · {t("messages.corrects")}</span>}
      {row.reason && <div class="quiet">{row.reason}</div>}
    </>
  );
}
