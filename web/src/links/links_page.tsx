/** How every link and every way out is now, and looking for a message. No patient is shown here. */
import { useEffect, useState } from "preact/hooks";
import { ask } from "../api";
import { language, moment, number, t, tOf } from "../i18n";
import { noteEnd } from "../session";
import { MessageSearch } from "./message_search";
import type { Destination, Links, LinkState, Port } from "./shapes";

const SECONDS = 5;
const GOOD = new Set(["listening", "closed", ""]);

export function LinksPage() {
  const [links, setLinks] = useState<Links | null>(null);
  const look = async () => {
    try {
      setLinks(await ask<Links>("GET", "/ops/links"));
    } catch (error) {
      noteEnd(error);
    }
  };
  useEffect(() => {
    void look();
    const timer = setInterval(() => void look(), SECONDS * 1000);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    document.title = `${t("links.title")} · Overread`;
  }, [language.value]);
  return (
    <main class="ops">
      <div class="ops-head">
        <h1>{t("links.title")}</h1>
        {links && <span class="quiet">{t("ops.as_of", { when: moment(links.at) })}</span>}
      </div>
      {links && <Incoming links={links} />}
      {links && <Outgoing destinations={links.destinations} />}
      <MessageSearch />
    </main>
  );
}

function Incoming({ links }: { links: Links }) {
  const intake = links.intake;
  return (
    <div class="block">
      <h2 id="incoming">{t("links.incoming")}</h2>
      {!intake && <p role="status">{t("links.no_intake")}</p>}
      {intake?.fault && (
        <p class="behind" role="status">
          {t("links.fault")} <span lang="en">{intake.fault}</span>
        </p>
      )}
      {intake && (
        <div class="scrolls" tabIndex={0} role="region" aria-labelledby="incoming">
          <table class="links">
            <thead>
              <tr>
                <th scope="col">{t("links.link")}</th>
                <th scope="col">{t("links.state")}</th>
                <th scope="col" class="num">
                  {t("links.connections")}
                </th>
                <th scope="col" class="num">
                  {t("links.per_minutes")}
                </th>
                <th scope="col">{t("links.answers")}</th>
                <th scope="col" class="num">
                  {t("links.repeats")}
                </th>
                <th scope="col">{t("links.last_message")}</th>
                <th scope="col">{t("links.last_error")}</th>
              </tr>
            </thead>
            <tbody>
              {intake.links.map((link) => (
                <LinkRow key={link.link_id} link={link} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function LinkRow({ link }: { link: LinkState }) {
  const error = link.last_error;
  return (
    <tr data-link={link.link_id}>
      <th scope="row" class="code">
        {link.link_id}
        <div class="quiet">{link.ports.map(portWords).join(", ")}</div>
      </th>
      <td>
        <State state={link.state} />
        {link.reason && (
          <div class="quiet" lang="en">
            {link.reason}
          </div>
        )}
      </td>
      <td class="num">{number(link.connections ?? 0)}</td>
      <td class="num">{Object.values(link.within_minutes ?? {}).map((count) => number(count)).join(" / ")}</td>
      <td class="code">
        {Object.entries(link.answers ?? {})
          .map(([code, count]) => `${code} ${count}`)
          .join(" · ")}
      </td>
      <td class="num">{number(link.duplicates ?? 0)}</td>
      <td>{moment(link.last_message_at ?? null)}</td>
      <td>
        {error && (
          <>
            <span class="code">{[error.code, error.condition, error.place].filter(Boolean).join(" ")}</span>{" "}
            <span lang="en">{error.sentence}</span> <span class="quiet">{moment(error.at)}</span>
          </>
        )}
      </td>
    </tr>
  );
}

function State({ state }: { state: string }) {
  return (
    <span class={GOOD.has(state) ? "" : "behind"}>
      <span aria-hidden="true">{GOOD.has(state) ? "●" : "▲"}</span> {tOf("links.state", state || "untried")}
    </span>
  );
}

function portWords(port: Port): string {
  return `${port.number}${port.mutual ? " TLS ⇄" : port.tls ? " TLS" : ""}`;
}

function Outgoing({ destinations }: { destinations: Destination[] | null }) {
  if (!destinations?.length) return null;
  return (
    <div class="block">
      <h2 id="outgoing">{t("links.outgoing")}</h2>
      <div class="scrolls" tabIndex={0} role="region" aria-labelledby="outgoing">
        <table class="links">
          <thead>
            <tr>
              <th scope="col">{t("links.destination")}</th>
              <th scope="col">{t("links.state")}</th>
              <th scope="col" class="num">
                {t("links.waiting")}
              </th>
              <th scope="col" class="num">
                {t("links.held")}
              </th>
              <th scope="col">{t("ops.reason")}</th>
            </tr>
          </thead>
          <tbody>
            {destinations.map((one) => (
              <tr key={one.destination} data-destination={one.destination}>
                <th scope="row" class="code">
                  {one.destination}
                  <div class="quiet">{`${one.kind} · ${one.address}`}</div>
                </th>
                <td>
                  <State state={one.state} />
                  <div class="quiet">{moment(one.since)}</div>
                </td>
                <td class="num">
                  {number(one.open)}
                  {one.oldest && <div class="quiet">{t("links.since", { when: moment(one.oldest) })}</div>}
                </td>
                <td class="num">{number(one.held)}</td>
                <td lang="en">{one.reason}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
