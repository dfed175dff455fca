/** What the desk's API answers (docs/desk.md). */

export type EntryKind = "doubt" | "no_order" | "no_images";

export interface Entry {
  kind: string;
  subject: string;
  case_id: string | null;
  order_id: string | null;
  reason: string;
  version: string;
  raised_at: string;
}

export interface Page {
  items: Entry[];
  next: string;
}

export interface Patient {
  identifiers: { id_number: string; assigning_authority: string }[];
  family_name: string;
  given_name: string;
  birth_date: string | null;
  sex: string;
}

export interface Order {
  order_id: string;
  status: string;
  placer_order_number: string;
  filler_order_number: string;
  accession_number: string;
  study_instance_uid: string;
  service: string;
  modality: string;
  priority: string;
  scheduled_at: string | null;
  patient_location: string;
  ordering_provider: string;
  patient: Patient;
}

export interface Study {
  case_id: string;
  study_instance_uid: string;
  accession_numbers: string[];
  modalities: string[];
  body_part_examined: string;
  study_description: string;
  study_date_time: string;
  patient: Patient;
}

export interface Reason {
  code: string;
  field: string;
  points: number;
  params: Record<string, string>;
}

export interface Decision {
  decision_id: string;
  kind: string;
  entry_kind: string;
  decided_by: string;
  decided_at: string;
  reason: string;
  is_undone: boolean;
}

export interface Pair {
  order: Order;
  study: Study;
  score: number;
  reasons: Reason[];
  is_linked: boolean;
  conflict: string;
  version: string;
  decisions: Decision[];
}

export interface Candidate {
  order: Order | null;
  study: Study | null;
  score: number;
  reasons: Reason[];
  is_linked: boolean;
  is_kept_apart: boolean;
}

export interface Candidates {
  order: Order | null;
  study: Study | null;
  candidates: Candidate[];
}
