/** The way of a study as a drawing: services in their order, what waits before each, and how much passes. */
import { duration, number, t } from "../i18n";
import type { Flow, Services } from "../shapes";

const ORDER = [
  ["hl7_intake", "order_intake", "dicom_intake", "dicomweb"],
  ["archive", "assembly"],
  ["routing"],
  ["inference_worker"],
  ["review"],
  ["delivery"],
  ["governance"],
];

export function Way({ flow, services }: { flow: Flow; services: Services }) {
  const known = new Map(services.services.map((service) => [service.name, service]));
  return (
    <ol class="way">
      {ORDER.map((step) => (
        <li key={step[0]}>
          {step
            .filter((name) => known.has(name))
            .map((name) => (
              <Stop key={name} name={name} isReady={Boolean(known.get(name)?.ready)} waits={waitsAt(flow, name)} rate={rateOf(flow, name)} />
            ))}
        </li>
      ))}
    </ol>
  );
}

interface StopProps {
  name: string;
  isReady: boolean;
  waits: { lag: number; oldest: number };
  rate: number;
}

function Stop({ name, isReady, waits, rate }: StopProps) {
  return (
    <div class={`stop ${isReady ? "" : "stop-down"} ${waits.lag ? "stop-behind" : ""}`}>
      <span class="code">{name}</span>
      <span class="quiet">
        {t("ops.rate")} {number(rate, 1)}
      </span>
      <span class={waits.lag ? "behind" : "quiet"}>
        {t("ops.lag")} {number(waits.lag)}
        {waits.lag > 0 && waits.oldest > 0 && ` · ${duration(waits.oldest)}`}
      </span>
    </div>
  );
}

function waitsAt(flow: Flow, service: string): { lag: number; oldest: number } {
  const groups = flow.topics.flatMap((topic) => topic.groups).filter((group) => group.service === service);
  return {
    lag: groups.reduce((sum, group) => sum + group.lag, 0),
    oldest: Math.max(0, ...groups.map((group) => group.oldest_unread_seconds ?? 0)),
  };
}

/** What the service writes each second; for the last of the way, what it reads. */
function rateOf(flow: Flow, service: string): number {
  const written = flow.topics.filter((topic) => topic.producers.includes(service) && topic.name !== "audit.recorded");
  const read = flow.topics.filter((topic) => topic.consumers.includes(service));
  return (written.length ? written : read).reduce((sum, topic) => sum + topic.rate_per_second, 0);
}
