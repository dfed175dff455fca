/** What the models said, each under its name and version, with what it is not for; and what the report states. */
import { signal } from "@preact/signals";
import { textOf } from "../api";
import { t, tOf } from "../i18n";
import { Dialog } from "../parts/dialog";
import { AiSign } from "../parts/icons";
import type { Reading, ReadingModel } from "../shapes";
import { FindingLine } from "./finding_line";

const card = signal<{ title: string; text: string } | null>(null);

export function Findings({ reading }: { reading: Reading }) {
  const { report } = reading;
  const isSigned = Boolean(report?.document.signed_by);
  return (
    <>
      {report && isSigned && <Stated reading={reading} />}
      <section class="block" aria-labelledby="ai-findings">
        <h2 id="ai-findings">{t(isSigned ? "findings.ai_beside" : "findings.ai")}</h2>
        {!reading.models.length && (
          <p class="quiet">
            <AiSign kind="none" /> {t("ai.none")}
          </p>
        )}
        <Models models={reading.models} />
        {report && !isSigned && <Conclusion text={report.document.conclusion} title={t("findings.draft_text")} />}
      </section>
      <Card />
    </>
  );
}

function Stated({ reading }: { reading: Reading }) {
  const document = reading.report?.document;
  if (!document) return null;
  return (
    <section class="block stated" aria-labelledby="stated">
      <h2 id="stated">{t("findings.stated")}</h2>
      {document.verdict && <p class="quiet">{tOf("verdict", document.verdict)}</p>}
      {document.findings.map((finding, n) => (
        <FindingLine key={n} finding={finding} />
      ))}
      {!document.findings.length && <p>{t("findings.none_stated")}</p>}
      <Conclusion text={document.conclusion} title={t("findings.conclusion")} />
    </section>
  );
}

function Conclusion({ text, title }: { text: string; title: string }) {
  if (!text) return null;
  return (
    <div class="conclusion">
      <h3>{title}</h3>
      <p>{text}</p>
    </div>
  );
}

/** Who took part first; who is not meant for this patient folded away, unless that is all there is to say. */
function Models({ models }: { models: ReadingModel[] }) {
  const took = models.filter((model) => model.kind !== "not_for_this_patient");
  const others = models.filter((model) => model.kind === "not_for_this_patient");
  const one = (model: ReadingModel) => <Model key={`${model.name}/${model.version}`} model={model} />;
  if (!took.length) return <>{others.map(one)}</>;
  return (
    <>
      {took.map(one)}
      {others.length > 0 && (
        <details>
          <summary>
            {t("ai.not_for_this_patient")} <span class="count">{others.length}</span>
          </summary>
          {others.map(one)}
        </details>
      )}
    </>
  );
}

function Model({ model }: { model: ReadingModel }) {
  return (
    <article class="model" data-ai={model.kind}>
      <h3>
        <AiSign kind={model.kind} />
        <span class={`ai-word ai-${model.kind}`}>{tOf("ai", model.kind)}</span>
      </h3>
      {model.findings.map((finding, n) => (
        <FindingLine key={n} finding={finding} />
      ))}
      {model.reasons.map((reason) => (
        <p key={reason} class="why" lang="en">
          {reason}
        </p>
      ))}
      <p class="model-name">
        <span lang="en">{model.title || model.name}</span> {model.version}
        {model.card && (
          <button class="plain" onClick={() => void show(model)}>
            {t("model.card")}
          </button>
        )}
      </p>
      {model.not_for.length > 0 && (
        <p class="not-for">
          <strong>{t("model.not_for")}</strong> <span lang="en">{model.not_for.join(" · ")}</span>
        </p>
      )}
    </article>
  );
}

async function show(model: ReadingModel): Promise<void> {
  const text = await textOf(model.card ?? "").catch(() => model.intended_use);
  card.value = { title: `${model.title || model.name} ${model.version}`, text };
}

function Card() {
  const now = card.value;
  if (!now) return null;
  return (
    <Dialog title={now.title} wide onClose={() => (card.value = null)}>
      <div class="model-card" lang="en" tabIndex={0} role="region" aria-label={now.title}>
        {now.text.split(/\n{2,}/).map((part, n) => (
          <CardPart key={n} part={part.trim()} />
        ))}
      </div>
      <form method="dialog">
        <button class="primary">{t("close")}</button>
      </form>
    </Dialog>
  );
}

function CardPart({ part }: { part: string }) {
  const heading = /^#+\s+(.*)$/.exec(part.split("\n")[0] ?? "");
  if (heading) {
    const rest = part.split("\n").slice(1).join("\n");
    return (
      <>
        <h3>{plain(heading[1] ?? "")}</h3>
        {rest && <CardPart part={rest} />}
      </>
    );
  }
  if (part.startsWith("|")) return <pre>{part}</pre>;
  if (/^[-*] /.test(part)) {
    const items = part.split(/\n(?=[-*] )/).map((item) => item.slice(2));
    return (
      <ul>
        {items.map((item) => (
          <li key={item}>{plain(item)}</li>
        ))}
      </ul>
    );
  }
  return <p>{plain(part)}</p>;
}

function plain(markdown: string): string {
  return markdown.replace(/\*\*|`/g, "").replace(/\[([^\]]+)\]\([^)]*\)/g, "$1").replace(/\s*\n\s*/g, " ");
}
