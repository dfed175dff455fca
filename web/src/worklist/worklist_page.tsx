/** The worklist: what waits for a reader, the urgent first. */
import { useEffect, useRef, useState } from "preact/hooks";
import { language, number, t, tOf, type Word } from "../i18n";
import { useKeys } from "../keys";
import { Help, openHelp } from "../parts/help";
import { go } from "../router";
import { filters, list, live, more, refresh, type Filters, type View } from "./rows";
import { RowLine } from "./row_line";

const VIEWER_AFTER_MS = 400;
const VIEWS: readonly View[] = ["open", "done", "all"];
const MODALITIES = ["CT", "MR", "CR", "DX", "US", "MG"];
const AI_KINDS = ["found", "nothing", "did_not_run", "not_for_this_patient", "waiting", "none"];
const COLUMNS: readonly Word[] = [
  "worklist.priority",
  "worklist.ai",
  "worklist.patient",
  "worklist.exam",
  "worklist.accession",
  "worklist.state",
  "worklist.waiting",
];

export function WorklistPage() {
  const body = useRef<HTMLTableSectionElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const [, tick] = useState(0);
  const asked = filters.value;
  useEffect(() => {
    void refresh();
  }, [asked]);
  useEffect(() => live(() => void refresh()), []);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 10_000);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    document.title = `${t("worklist.title")} · Overread`;
  }, [language.value]);
  useFirstRow(body);
  useEffect(prepareViewer, []);
  useKeys({
    j: () => move(body.current, 1),
    ArrowDown: () => move(body.current, 1),
    k: () => move(body.current, -1),
    ArrowUp: () => move(body.current, -1),
    Enter: () => open(body.current),
    "/": () => search.current?.focus(),
    "?": openHelp,
  });
  return (
    <main class="worklist">
      <div class="worklist-head">
        <h1>{t("worklist.title")}</h1>
        <Views />
        <Choices />
        <input
          ref={search}
          type="search"
          value={asked.q}
          placeholder={`${t("worklist.search")}  ( / )`}
          aria-label={t("worklist.search")}
          onInput={(event) => narrow({ q: event.currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key !== "Escape" && event.key !== "Enter") return;
            event.preventDefault();
            move(body.current, 0);
          }}
        />
      </div>
      <div class="worklist-rows" tabIndex={-1}>
        <table>
          <thead>
            <tr>
              {COLUMNS.map((word) => (
                <th key={word} scope="col">
                  {t(word)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody ref={body}>
            {list.value?.items.map((row) => (
              <RowLine key={row.case_id} row={row} />
            ))}
          </tbody>
        </table>
        <Foot />
      </div>
      <Help />
    </main>
  );
}

function Views() {
  const counts = list.value?.counts;
  return (
    <div class="views" role="group" aria-label={t("worklist.views")}>
      {VIEWS.map((view) => (
        <button key={view} aria-pressed={filters.value.view === view} onClick={() => narrow({ view })}>
          {tOf("worklist.view", view)}
          {counts && view !== "all" && <span class="count">{number(counts[view])}</span>}
        </button>
      ))}
    </div>
  );
}

function Choices() {
  const { modality, ai } = filters.value;
  return (
    <>
      <select
        aria-label={t("worklist.modality")}
        value={modality}
        onChange={(event) => narrow({ modality: event.currentTarget.value })}
      >
        <option value="">{t("worklist.all_modalities")}</option>
        {MODALITIES.map((code) => (
          <option key={code}>{code}</option>
        ))}
      </select>
      <select aria-label={t("worklist.ai")} value={ai} onChange={(event) => narrow({ ai: event.currentTarget.value })}>
        <option value="">{t("worklist.all_ai")}</option>
        {AI_KINDS.map((kind) => (
          <option key={kind} value={kind}>
            {tOf("ai", kind)}
          </option>
        ))}
      </select>
    </>
  );
}

function Foot() {
  const now = list.value;
  if (!now) return <p class="foot quiet">{t("loading")}</p>;
  if (!now.items.length) return <p class="foot empty">{t(isNarrowed() ? "worklist.no_match" : "worklist.empty")}</p>;
  return (
    <p class="foot quiet">
      {t("worklist.shown", { n: number(now.items.length), of: number(now.total) })}
      {now.next && (
        <button class="plain" onClick={() => void more()}>
          {t("worklist.more")}
        </button>
      )}
    </p>
  );
}

function isNarrowed(): boolean {
  const { view, modality, ai, q } = filters.value;
  return view !== "open" || Boolean(modality || ai || q);
}

function narrow(by: Partial<Filters>): void {
  filters.value = { ...filters.value, ...by };
}

/** Begin at the first row, so that one key opens it. */
function useFirstRow(body: { current: HTMLTableSectionElement | null }): void {
  const isThere = Boolean(list.value?.items.length);
  useEffect(() => {
    if (isThere && (document.activeElement === document.body || !document.activeElement)) move(body.current, 0);
  }, [isThere]);
}

/** Fetch the viewer while the reader looks at the list, so that the first case opens as fast as the others. */
function prepareViewer(): void {
  setTimeout(() => void import("../viewer").catch(() => undefined), VIEWER_AFTER_MS);
}

function links(body: HTMLTableSectionElement | null): HTMLAnchorElement[] {
  return body ? [...body.querySelectorAll<HTMLAnchorElement>("a.row-link")] : [];
}

function move(body: HTMLTableSectionElement | null, by: number): void {
  const all = links(body);
  const at = all.findIndex((link) => link === document.activeElement);
  const next = at < 0 ? 0 : Math.max(0, Math.min(all.length - 1, at + by));
  all[next]?.focus();
  all[next]?.closest("tr")?.scrollIntoView({ block: "nearest" });
}

function open(body: HTMLTableSectionElement | null): void {
  const first = links(body)[0];
  if (first) go(first.pathname);
}
