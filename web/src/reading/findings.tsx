/** What the models said, each under its name and version, with what it is not for; and what the report states. */
import { t, tOf } from "../i18n";
import { AiSign } from "../parts/icons";
import type { Reading, ReadingModel } from "../shapes";
import { FindingLine } from "./finding_line";
import { ModelCard, showCard } from "./model_card";

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
      <ModelCard />
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
          <button class="plain" onClick={() => void showCard(model)}>
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
