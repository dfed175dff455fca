/** What was asked, and why. */
import { language, moment, t, tOf } from "../i18n";
import type { Appointment, NamedCode, Order } from "../shapes";

export function OrderCard({ orders, appointments }: { orders: Order[]; appointments: Appointment[] }) {
  return (
    <section class="block" aria-labelledby="order">
      <h2 id="order">{t("order.title")}</h2>
      {!orders.length && <p class="quiet">{t("order.none")}</p>}
      {orders.map((order) => (
        <div key={order.order_id} class="order">
          {order.clinical_information && <p class="clinical">{order.clinical_information}</p>}
          <dl>
            <Pair name={t("order.service")} value={mapped(order.procedure) || order.service?.text || order.service?.identifier} />
            <Pair name={t("order.priority")} value={tOf("priority", order.priority)} />
            <Pair name={t("order.by")} value={order.requester?.text || order.ordering_provider?.text || order.ordering_provider?.identifier} />
            <Pair name={t("order.where")} value={mapped(order.location) || order.patient_location} />
            <Pair name={t("order.number")} value={order.placer_order_number} />
            {order.status !== "active" && (
              <Pair name={t("order.status")} value={tOf("order.status", order.status)} />
            )}
            <Pair
              name={t("order.appointment")}
              value={said(appointments.find((appointment) => appointment.order_id === order.order_id))}
            />
          </dl>
        </div>
      ))}
    </section>
  );
}

/** Return the site's own name of a code, in the reader's language where it has one. */
function mapped(named: NamedCode | null | undefined): string | undefined {
  const texts = { vi: named?.text, en: named?.text_en, fr: named?.text_fr };
  return texts[language.value] || named?.text;
}

function said(appointment: Appointment | undefined): string | undefined {
  return appointment && tOf("appointment", appointment.status) + " · " + moment(appointment.scheduled_at);
}

function Pair({ name, value }: { name: string; value: string | undefined }) {
  if (!value) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd>{plain(value)}</dd>
    </div>
  );
}

/** A name or place as HL7 wrote it, without the signs between its parts (XPN, PL). */
function plain(text: string): string {
  return text.replace(/[\^~&]+/g, " ").trim();
}
