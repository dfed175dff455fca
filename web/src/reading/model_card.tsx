/** A model's card, as its makers wrote it: what it does, for whom, what was seen, what it can't. */
import { signal } from "@preact/signals";
import { textOf } from "../api";
import { t } from "../i18n";
import { Dialog } from "../parts/dialog";
import type { ReadingModel } from "../shapes";

const card = signal<{ title: string; text: string } | null>(null);

/** Fetch the card of `model` and show it; without one, what the model is meant for. */
export async function showCard(model: ReadingModel): Promise<void> {
  const text = await textOf(model.card ?? "").catch(() => model.intended_use);
  card.value = { title: `${model.title || model.name} ${model.version}`, text };
}

export function ModelCard() {
  const now = card.value;
  if (!now) return null;
  return (
    <Dialog title={now.title} wide onClose={() => (card.value = null)}>
      <div class="model-card" lang="en" tabIndex={0} role="region" aria-label={now.title}>
        {now.text
          .replace(/^# .*\n/, "")
          .split(/\n{2,}/)
          .map((part, n) => (
            <Part key={n} part={part.trim()} />
          ))}
      </div>
      <form method="dialog">
        <button class="primary">{t("close")}</button>
      </form>
    </Dialog>
  );
}

/** One paragraph of Markdown: a heading with what follows it, a table, a list, or text. */
function Part({ part }: { part: string }) {
  const [first = "", ...rest] = part.split("\n");
  const heading = /^#+\s+(.*)$/.exec(first);
  if (heading) {
    return (
      <>
        <h3>{plain(heading[1] ?? "")}</h3>
        {rest.length > 0 && <Part part={rest.join("\n")} />}
      </>
    );
  }
  if (part.startsWith("|")) return <Table lines={[first, ...rest]} />;
  if (/^[-*] /.test(part)) return <ul>{itemsOf(part, /\n(?=[-*] )/)}</ul>;
  if (/^\d+\. /.test(part)) return <ol>{itemsOf(part, /\n(?=\d+\. )/)}</ol>;
  return <p>{plain(part)}</p>;
}

function itemsOf(part: string, between: RegExp) {
  return part.split(between).map((item) => <li key={item}>{plain(item.replace(/^([-*]|\d+\.) /, ""))}</li>);
}

function Table({ lines }: { lines: string[] }) {
  const [head = [], , ...rows] = lines.map(cellsOf);
  return (
    <table>
      <thead>
        <tr>
          {head.map((cell) => (
            <th key={cell} scope="col">
              {cell}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((cells, n) => (
          <tr key={n}>
            {cells.map((cell, at) => (
              <td key={at}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function cellsOf(line: string): string[] {
  return line.replace(/^\||\|\s*$/g, "").split("|").map((cell) => plain(cell.trim()));
}

function plain(markdown: string): string {
  return markdown.replace(/\*\*|`/g, "").replace(/\[([^\]]+)\]\([^)]*\)/g, "$1").replace(/\s*\n\s*/g, " ");
}
