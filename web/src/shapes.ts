/** What the API answers, as far as the page reads it (`/api/v1/openapi.json` has all of it). */

export interface Me {
  subject: string;
  family_name: string;
  given_name: string;
  site_id: string;
  is_demo: boolean;
  may_read: boolean;
  may_sign: boolean;
  operates: boolean;
  roles: string[];
  signing_until: string;
  language: string;
}

export interface SignInConfiguration {
  is_demo: boolean;
  issuer: "embedded" | "external";
  language: string;
}

export type AiKind = "found" | "nothing" | "did_not_run" | "not_for_this_patient" | "waiting" | "none";

export interface ModelLine {
  name: string;
  version: string;
  title: string;
  kind: AiKind;
  line: string;
  reasons: string[];
}

export interface RowPatient {
  family_name: string;
  given_name: string;
  patient_id: string;
  sex: string;
  birth_date: string | null;
  age_years: number | null;
}

export type Status =
  | "arriving"
  | "waiting_for_ai"
  | "drafted"
  | "in_review"
  | "rejected"
  | "signed"
  | "held"
  | "final"
  | "replaced"
  | "superseded"
  | "withdrawn"
  | "new_images"
  | "other_order"
  | "read_elsewhere";

export interface Row {
  case_id: string;
  report_id: string;
  report_revision: number;
  status: Status;
  state: string | null;
  priority: string;
  is_stat: boolean;
  waiting_since: string;
  patient: RowPatient;
  accession_numbers: string[];
  procedure: string;
  modalities: string[];
  body_part: string;
  study_description: string;
  study_date_time: string;
  study_instance_uid: string;
  claimed_by: string;
  claimed_by_me: boolean;
  signed_by: string;
  read_elsewhere_by: string;
  reason: string;
  is_synthetic: boolean;
  ai: { kind: AiKind; line: string; models: ModelLine[] };
  task: { task_id: string } | null;
}

export interface Worklist {
  items: Row[];
  next: string | null;
  total: number;
  counts: { open: number; done: number };
  version: number;
}

export interface Finding {
  code: string;
  scheme: string;
  display: string;
  value: string | null;
  unit: string;
  unit_display: string;
  coded_value: string;
  coded_value_scheme: string;
  coded_value_display: string;
  abnormal_flag: string;
  probability: string | null;
  observation_sub_id: string;
  series_instance_uid: string;
}

export interface CodedElement {
  identifier: string;
  text: string;
}

export interface Order {
  order_id: string;
  status: string;
  placer_order_number: string;
  filler_order_number: string;
  accession_number: string | null;
  service: CodedElement | null;
  priority: string;
  ordering_provider: CodedElement | null;
  patient_location: string;
  clinical_information: string;
  procedure?: NamedCode | null;
  location?: NamedCode | null;
  requester?: CodedElement | null;
}

/** What the mapping calls a code: `text` is Vietnamese. */
export interface NamedCode extends CodedElement {
  text_en: string;
  text_fr: string;
}

export interface ContextObservation {
  concept: string;
  code: CodedElement;
  value: string;
  unit: string;
  reference_range: string;
  abnormal_flag: string;
  status: string;
  observed_at: string | null;
}

export interface Appointment {
  order_id: string;
  status: string;
  scheduled_at: string | null;
}

export interface ReportDocument {
  orders: Order[];
  findings: Finding[];
  verdict: Verdict | null;
  conclusion: string;
  language: string;
  drafted_at: string;
  signed_by: { subject: string; family_name: string; given_name: string } | null;
  signed_at: string | null;
  withdrawal: { reason: string; is_wrong_patient: boolean } | null;
}

export type Act =
  | "claim"
  | "release"
  | "reject"
  | "sign"
  | "resubmit"
  | "confirm-again"
  | "release-held"
  | "withdraw"
  | "withdraw-final";

export interface HistoryStep {
  report_revision: number;
  action: string;
  to_state: string;
  actor: string;
  reason: string;
  at: string;
}

export interface Delivery {
  delivery_id: string;
  destination: string;
  form: string;
  status: string;
  outcome: string;
  reason: string;
  ended_at: string;
}

export interface Report {
  report_id: string;
  report_revision: number;
  state: string;
  reason: string;
  digest: string;
  claimed_by: string;
  document: ReportDocument;
  signature: { subject: string; signed_at: string } | null;
  allowed_actions: Act[];
  deliveries: Delivery[];
  history: HistoryStep[];
}

export interface ReadingModel {
  name: string;
  version: string;
  title: string;
  kind: AiKind;
  reasons: string[];
  intended_use: string;
  not_for: string[];
  card: string | null;
  findings: Finding[];
}

export interface Series {
  series_instance_uid: string;
  modality: string;
  series_number: number | null;
  series_description: string;
  instances: { sop_instance_uid: string; number_of_frames: number }[];
}

export interface Segmentation {
  index: number;
  model: { name: string; version: string; title: string };
  series_instance_uid: string;
  rows: number | null;
  columns: number | null;
  segments: { number: number; label: string }[];
}

/** With the images on which something is marked. */
export interface MarkedSegmentation extends Segmentation {
  sop_instance_uids: string[];
}

export interface FindingCode {
  finding: Finding;
  labels: Record<string, string>;
}

export interface Reading {
  report: Report | null;
  case: {
    revision: number;
    orders: Order[];
    laboratory: ContextObservation[];
    bedside: ContextObservation[];
    read_elsewhere: { reporter: string; status: string; reported_at: string } | null;
    appointments: Appointment[];
  };
  row: Row;
  models: ReadingModel[];
  images: { study_instance_uid: string; are_all: boolean; series: Series[] } | null;
  segmentations: Segmentation[];
  finding_codes: FindingCode[];
  task: { task_id: string; kind: string; raised_at: string; may_answer: boolean } | null;
  not_signable: { kind: string; detail: string } | null;
  signing: { may_sign: boolean; is_fresh: boolean; fresh_until: string };
}

export type Verdict = "accepted" | "changed" | "rejected";

export interface Flow {
  at: string;
  topics: {
    name: string;
    says: string;
    producers: string[];
    consumers: string[];
    records: number;
    rate_per_second: number;
    dead: number;
    groups: { service: string; lag: number; oldest_unread_seconds: number | null }[];
  }[];
}

export interface Services {
  services: { name: string; ready: boolean; failing: Record<string, string>; answered: boolean }[];
}

export interface DeadLetters {
  items: {
    place: string;
    topic: string;
    source: string;
    kind: string;
    reason: string;
    consumer: string;
    replay_attempt: number;
    set_aside_at: string | null;
    may_replay: boolean;
    how: string;
  }[];
  objects: { object_key: string; reason: string; at: string }[];
  total: number;
}
