/** One row: a code, and what it means here. Only the fields that its kind uses are shown. */
import { useState } from "preact/hooks";
import { ask, Problem } from "../api";
import { t, tOf } from "../i18n";
import { announce } from "../parts/announcer";
import { Dialog } from "../parts/dialog";
import { explain, ordersOf } from "./said";
import { KINDS, type Difference, type Kind, type MappingView, type Row } from "./shapes";

type Field = Exclude<keyof Row, "kind" | "models">;

const FIELDS: Record<Kind, readonly Field[]> = {
  service: ["code", "system", "vi", "en", "fr", "to_code", "to_system", "modality", "body_part"],
  ward: ["code", "vi", "en", "fr", "department", "to_code"],
  doctor: ["code", "vi", "to_code"],
  code_system: ["code", "to_system", "to_code"],
};

interface Props {
  begun: Row;
  mapping: MappingView;
  onClose: () => void;
  onDone: () => void;
}

export function RowDialog({ begun, mapping, onClose, onDone }: Props) {
  const [row, setRow] = useState(begun);
  const [why, setWhy] = useState("");
  const set = (name: Field, value: string) => setRow({ ...row, [name]: value });
  const keep = async (event: Event) => {
    event.preventDefault();
    try {
      const done = await ask<Difference>("POST", "/mapping/change", { rows: [used(row)], base: mapping.version });
      announce(`${t("mapping.kept", { code: row.code })} ${ordersOf(done)}`);
      onDone();
    } catch (error) {
      if (error instanceof Problem && error.kind === "mapping-faulty") setWhy(error.detail);
      else explain(error);
    }
  };
  return (
    <Dialog title={t("mapping.one_row")} onClose={onClose} wide>
      <form class="mapping-form" onSubmit={(event) => void keep(event)}>
        <label>
          {t("mapping.kind")}
          <select value={row.kind} onChange={(event) => setRow({ ...row, kind: event.currentTarget.value as Kind })}>
            {KINDS.map((kind) => (
              <option key={kind} value={kind}>
                {tOf("mapping.kind", kind)}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t("mapping.link")}
          <select value={row.link} onChange={(event) => set("link", event.currentTarget.value)}>
            <option value="">{t("mapping.every_link")}</option>
            {linksOf(mapping, row).map((link) => (
              <option key={link}>{link}</option>
            ))}
          </select>
        </label>
        {FIELDS[row.kind].map((name) => (
          <label key={name}>
            {tOf(`mapping.field.${row.kind}`, name, tOf("mapping.field", name))}
            <input
              name={name}
              value={row[name]}
              required={name === "code"}
              onInput={(event) => set(name, event.currentTarget.value)}
            />
          </label>
        ))}
        {row.kind === "service" && <Models row={row} known={mapping.models} onChange={setRow} />}
        {why && (
          <p role="alert" class="behind" lang="en">
            {why}
          </p>
        )}
        <div class="dialog-deeds">
          <button class="primary" type="submit">
            {t("mapping.keep")}
          </button>
          <button type="button" onClick={onClose}>
            {t("cancel")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Models({ row, known, onChange }: { row: Row; known: string[]; onChange: (row: Row) => void }) {
  const others = row.models.filter((name) => !known.includes(name));
  return (
    <fieldset class="models">
      <legend>{t("mapping.models")}</legend>
      {[...known, ...others].map((name) => (
        <label key={name} class="check">
          <input
            type="checkbox"
            checked={row.models.includes(name)}
            onChange={(event) => {
              const rest = row.models.filter((each) => each !== name);
              onChange({ ...row, models: event.currentTarget.checked ? [...rest, name] : rest });
            }}
          />
          <span class="code">{name}</span>
        </label>
      ))}
    </fieldset>
  );
}

function linksOf(mapping: MappingView, row: Row): string[] {
  const links = mapping.links.map(({ link }) => link);
  return row.link && !links.includes(row.link) ? [...links, row.link] : links;
}

/** Return the row without what its kind has no use for. */
function used(row: Row): Partial<Row> {
  const kept: Partial<Row> = { kind: row.kind, link: row.link };
  for (const name of FIELDS[row.kind]) kept[name] = row[name];
  return row.kind === "service" ? { ...kept, models: row.models } : kept;
}
