/** One finding: what, how much in which unit, and how sure the model is. */
import { decimal, t } from "../i18n";
import type { Finding } from "../shapes";

const UNITS: Record<string, string> = { "[hnsf'U]": "HU" };

export function FindingLine({ finding }: { finding: Finding }) {
  return (
    <div class={`finding ${finding.abnormal_flag && finding.abnormal_flag !== "N" ? "abnormal" : ""}`}>
      <span class="what" lang="en">
        {finding.display || finding.code}
      </span>
      <span class="how-much">{valueOf(finding)}</span>
      {finding.probability && (
        <span class="probability">{t("finding.probability", { n: percent(finding.probability) })}</span>
      )}
    </div>
  );
}

/** Say the value with its unit, as the document states it. */
export function valueOf(finding: Finding): string {
  if (finding.value === null) return finding.coded_value_display || finding.coded_value;
  const unit = UNITS[finding.unit] ?? finding.unit;
  return [decimal(finding.value), unit].filter(Boolean).join(" ");
}

export function unitOf(finding: Finding): string {
  return UNITS[finding.unit] ?? finding.unit;
}

function percent(probability: string): string {
  return `${(Number(probability) * 100).toFixed(0)} %`;
}
