/** What the links' codes mean here: what is not mapped yet, what is, where the accession number sits, and every version. */
import { useEffect, useState } from "preact/hooks";
import { ask } from "../api";
import { language, t } from "../i18n";
import { explain } from "./said";
import { History } from "./history";
import { ImportDialog } from "./import_dialog";
import { LinkTable } from "./link_table";
import { RowDialog } from "./row_dialog";
import { RowTable } from "./row_table";
import { EMPTY, type MappingView, type Row, type Unmapped, type Version } from "./shapes";
import { UnmappedTable } from "./unmapped_table";

interface Seen {
  mapping: MappingView;
  unmapped: Unmapped[];
  versions: Version[];
}

export function MappingPage() {
  const [seen, setSeen] = useState<Seen | null>(null);
  const [edited, setEdited] = useState<Row | null>(null);
  const [isImporting, setImporting] = useState(false);
  const look = async () => {
    try {
      const [mapping, unmapped, versions] = await Promise.all([
        ask<MappingView>("GET", "/mapping/rows"),
        ask<Unmapped[]>("GET", "/mapping/unmapped"),
        ask<Version[]>("GET", "/mapping/versions"),
      ]);
      setSeen({ mapping, unmapped, versions });
    } catch (error) {
      explain(error);
    }
  };
  const done = () => {
    setEdited(null);
    setImporting(false);
    void look();
  };
  useEffect(() => void look(), []);
  useEffect(() => {
    document.title = `${t("mapping.title")} · Overread`;
  }, [language.value]);
  if (!seen) return <main class="calm">{t("loading")}</main>;
  const { mapping, unmapped, versions } = seen;
  return (
    <main class="ops mapping">
      <div class="ops-head">
        <h1>{t("mapping.title")}</h1>
        <span class="quiet">{t("mapping.version_is", { n: mapping.version, rows: mapping.rows.length })}</span>
        <span class="gap" />
        <button class="primary" onClick={() => setImporting(true)}>
          {t("mapping.import")}
        </button>
        <a class="as-button" href="/mapping/file?form=csv" download={`mapping-${mapping.version}.csv`}>
          {t("mapping.export_csv")}
        </a>
        <a class="as-button" href="/mapping/file?form=xlsx" download={`mapping-${mapping.version}.xlsx`}>
          {t("mapping.export_xlsx")}
        </a>
      </div>
      <UnmappedTable codes={unmapped} onFillIn={(code) => setEdited({ ...EMPTY, ...begun(code) })} />
      <RowTable
        rows={mapping.rows}
        version={mapping.version}
        onNew={() => setEdited({ ...EMPTY, kind: "service", code: "" })}
        onEdit={setEdited}
        onChanged={() => void look()}
      />
      <LinkTable links={mapping.links} />
      <History versions={versions} onChanged={() => void look()} />
      {edited && <RowDialog begun={edited} mapping={mapping} onClose={() => setEdited(null)} onDone={done} />}
      {isImporting && <ImportDialog onClose={() => setImporting(false)} onDone={done} />}
    </main>
  );
}

/** Return the row that a code is filled in as: its sender's text is the first guess at its name. */
function begun(code: Unmapped): Pick<Row, "kind" | "link" | "code" | "system" | "vi"> {
  const vi = code.kind === "code_system" ? "" : code.example;
  return { kind: code.kind, link: code.link, code: code.code, system: code.system, vi };
}
