/** The page as a whole: the bar above, the place where one is, and what holds for all of it. */
import { useEffect } from "preact/hooks";
import { isAway } from "./api";
import { DeskPage } from "./desk/desk_page";
import { language, t } from "./i18n";
import { MappingPage } from "./mapping/mapping_page";
import { LinksPage } from "./links/links_page";
import { MessagePage } from "./links/message_page";
import { OpsPage } from "./ops/ops_page";
import { Announcer } from "./parts/announcer";
import { TopBar } from "./parts/top_bar";
import { ReadingPage } from "./reading/reading_page";
import { place } from "./router";
import { looksAfterLinks, mapsCodes, me, reconciles } from "./session";
import type { Me } from "./shapes";
import { SignInPage } from "./sign_in_page";
import { WorklistPage } from "./worklist/worklist_page";

export function App() {
  const code = language.value;
  useEffect(() => {
    document.documentElement.lang = code;
  }, [code]);
  return (
    <div class="page">
      <TopBar />
      {isAway.value && (
        <div class="banner banner-warn" role="alert">
          <strong>{t("away.title")}</strong> {t("away.next")}
        </div>
      )}
      <Here />
      <Announcer />
    </div>
  );
}

function Here() {
  const reader = me.value;
  const here = place.value;
  if (reader === undefined) return <main class="calm">{t("loading")}</main>;
  if (reader === null) return <SignInPage />;
  if (here.page === "ops") return reader.operates ? <OpsPage /> : <NotForYou role="ops" />;
  if (here.page === "links" || here.page === "message") {
    if (!looksAfterLinks(reader)) return <NotForYou role="integrator" />;
    return here.page === "links" ? <LinksPage /> : <MessagePage eventId={here.eventId} />;
  }
  if (here.page === "mapping") return mapsCodes(reader) ? <MappingPage /> : <NotForYou role="integrator" />;
  if (here.page === "desk") return reconciles(reader) ? <DeskPage /> : <NotForYou role="reconciler" />;
  if (!reader.may_read) return <FirstPage reader={reader} />;
  return here.page === "case" ? <ReadingPage caseId={here.caseId} /> : <WorklistPage />;
}

/** What somebody sees first who reads no studies. */
function FirstPage({ reader }: { reader: Me }) {
  if (reader.operates) return <OpsPage />;
  if (reconciles(reader)) return <DeskPage />;
  return looksAfterLinks(reader) ? <LinksPage /> : <NotForYou role="radiologist" />;
}

function NotForYou({ role }: { role: string }) {
  return (
    <main class="calm">
      <div class="card">
        <h1>{t("not_for_you.title")}</h1>
        <p>{t("not_for_you.next", { role })}</p>
      </div>
    </main>
  );
}
