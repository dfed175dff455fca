/** What an operator sees first: is everything up, does everything flow, and what was set aside. No patient is shown here. */
import { useEffect, useState } from "preact/hooks";
import { ask } from "../api";
import { duration, language, moment, number, t } from "../i18n";
import { noteEnd } from "../session";
import type { DeadLetters, Flow, Services } from "../shapes";
import { DeadList } from "./dead_list";
import { Way } from "./way";

const SECONDS = 3;

interface Seen {
  flow: Flow;
  services: Services;
  dead: DeadLetters;
}

export function OpsPage() {
  const [seen, setSeen] = useState<Seen | null>(null);
  const look = async () => {
    try {
      const [flow, services, dead] = await Promise.all([
        ask<Flow>("GET", "/ops/flow"),
        ask<Services>("GET", "/ops/services"),
        ask<DeadLetters>("GET", "/ops/dead?limit=200"),
      ]);
      setSeen({ flow, services, dead });
    } catch (error) {
      noteEnd(error);
    }
  };
  useEffect(() => {
    void look();
    const timer = setInterval(() => void look(), SECONDS * 1000);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    document.title = `${t("ops.title")} · Overread`;
  }, [language.value]);
  if (!seen) return <main class="calm">{t("loading")}</main>;
  return (
    <main class="ops">
      <div class="ops-head">
        <h1>{t("ops.title")}</h1>
        <span class="quiet">{t("ops.as_of", { when: moment(seen.flow.at) })}</span>
      </div>
      <ServiceList services={seen.services} />
      <div class="block">
        <h2 id="flow">{t("ops.flow")}</h2>
        <Way flow={seen.flow} services={seen.services} />
        <FlowTable flow={seen.flow} />
      </div>
      <DeadList dead={seen.dead} onReplayed={() => void look()} />
    </main>
  );
}

function ServiceList({ services }: { services: Services }) {
  return (
    <section class="block" aria-labelledby="services">
      <h2 id="services">{t("ops.services")}</h2>
      <ul class="services">
        {services.services.map((service) => {
          const state = !service.answered ? "silent" : service.ready ? "ready" : "failing";
          return (
            <li key={service.name} class={`service service-${state}`} data-service={service.name}>
              <span class="dot" aria-hidden="true">
                {state === "ready" ? "●" : "▲"}
              </span>
              <span class="code">{service.name}</span> <span>{t(`ops.${state}`)}</span>
              {Object.entries(service.failing).map(([what, why]) => (
                <span key={what} class="quiet" lang="en">{`${what}: ${why}`}</span>
              ))}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function FlowTable({ flow }: { flow: Flow }) {
  return (
    <div class="scrolls" tabIndex={0} role="region" aria-labelledby="flow">
      <table>
        <thead>
          <tr>
            <th scope="col">{t("ops.topic")}</th>
            <th scope="col">{t("ops.way")}</th>
            <th scope="col" class="num">
              {t("ops.rate")}
            </th>
            <th scope="col" class="num">
              {t("ops.records")}
            </th>
            <th scope="col">{t("ops.lag")}</th>
            <th scope="col" class="num">
              {t("ops.dead")}
            </th>
          </tr>
        </thead>
        <tbody>
          {flow.topics.map((topic) => (
            <tr key={topic.name} title={topic.says}>
              <th scope="row" class="code">
                {topic.name}
              </th>
              <td class="quiet">{`${topic.producers.join(", ")} → ${topic.consumers.join(", ")}`}</td>
              <td class="num">{number(topic.rate_per_second, 1)}</td>
              <td class="num">{number(topic.records)}</td>
              <td>
                {topic.groups.map((group) => (
                  <span key={group.service} class={`lag ${group.lag ? "behind" : ""}`}>
                    {group.service} {number(group.lag)}
                    {group.oldest_unread_seconds !== null && group.lag > 0 && ` · ${duration(group.oldest_unread_seconds)}`}
                  </span>
                ))}
              </td>
              <td class={`num ${topic.dead ? "behind" : ""}`}>{number(topic.dead)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
