/** The reading view: images, findings with the order beside them, and the decision. */
import { useEffect } from "preact/hooks";
import { language, t } from "../i18n";
import { useKeys } from "../keys";
import { Help, openHelp } from "../parts/help";
import { nameOf } from "../parts/patient";
import { go } from "../router";
import { live, refresh } from "../worklist/rows";
import { CaseHead } from "./case_head";
import { ChangeForm } from "./change_form";
import { Deeds, deedKeys } from "./deeds";
import { Findings } from "./findings";
import { History } from "./history";
import { NoticeLine } from "./notice_line";
import { ContextCard } from "./context_card";
import { OrderCard } from "./order_card";
import { PicturePane } from "./picture_pane";
import { SignPanel } from "./sign_panel";
import { Situation } from "./situation";
import { goOn, leave, lookAgain, notice, open, reading, stage, undecide } from "./state";

export function ReadingPage({ caseId }: { caseId: string }) {
  useEffect(() => void open(caseId), [caseId]);
  useEffect(() => leave, []);
  useEffect(() => live(() => void refresh().then(lookAgain)), []);
  const now = reading.value;
  useEffect(() => {
    document.title = now ? `${nameOf(now.row.patient)} · Overread` : "Overread";
  }, [now, language.value]);
  useKeys({
    Escape: () => (stage.value === "look" ? go("/") : undecide()),
    n: () => void goOn(true),
    "?": openHelp,
    ...deedKeys,
  });
  if (!now) return <NotYet />;
  return (
    <main class="reading">
      <CaseHead row={now.row} />
      <PicturePane reading={now} />
      <section class="panel" aria-label={t("reading.panel")}>
        <div class="panel-rows" tabIndex={0} role="region" aria-label={t("reading.panel_rows")}>
          <NoticeLine />
          <Side />
        </div>
        <Deeds />
      </section>
      <Help />
    </main>
  );
}

function Side() {
  const now = reading.value;
  if (!now) return null;
  if (stage.value === "change" || stage.value === "reject") return <ChangeForm reading={now} />;
  if (stage.value === "sign") return <SignPanel reading={now} />;
  return (
    <>
      <Situation reading={now} />
      <OrderCard orders={now.report?.document.orders ?? now.case.orders} appointments={now.case.appointments} />
      <ContextCard of={now.case} />
      <Findings reading={now} />
      {now.report && <History report={now.report} />}
    </>
  );
}

function NotYet() {
  return (
    <main class="calm">
      {notice.value ? (
        <div class="card">
          <h1>{t("reading.title")}</h1>
          <NoticeLine />
          <button class="primary" onClick={() => go("/")}>
            {t("reading.to_worklist")}
          </button>
        </div>
      ) : (
        <p>{t("loading")}</p>
      )}
    </main>
  );
}
