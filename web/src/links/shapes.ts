/** What the API answers about links and messages. */

export interface Port {
  number: number;
  tls: boolean;
  mutual: boolean;
}

export interface LinkState {
  link_id: string;
  state: "listening" | "refusing" | "draining" | "refused";
  reason: string | null;
  ports: Port[];
  connections?: number;
  within_minutes?: Record<string, number>;
  answers?: Record<string, number>;
  duplicates?: number;
  bytes?: number;
  last_message_at?: string | null;
  last_error?: { at: string; code: string; condition: number; place: string; sentence: string } | null;
}

export interface Destination {
  destination: string;
  kind: string;
  address: string;
  state: string;
  failures: number;
  since: string | null;
  reason: string;
  open: number;
  held: number;
  oldest: string | null;
}

export interface Links {
  at: string;
  intake: { file: string | null; fault: string | null; links: LinkState[] } | null;
  destinations: Destination[] | null;
}

export interface MessageRow {
  event_id: string;
  place: string;
  link_id: string;
  message_type: string;
  trigger_event: string;
  message_control_id: string;
  received_at: string;
  outcome: "used" | "set_aside";
  reason: string;
  corrects: string | null;
  answered_by: string | null;
}

export interface Found {
  items: MessageRow[];
  next: string | null;
}

export interface Segment {
  name: string;
  sequence: number;
  title: string;
  fields: { place: string; name: string; values: string[]; is_hidden: boolean }[];
}

export interface Message {
  message: MessageRow;
  used_for: { kind: string; id: string }[];
  segments: Segment[] | null;
  shows_patient: boolean;
  may_show_patient: boolean;
  lines?: string[];
}

export interface Verdict {
  is_taken: boolean;
  code: string;
  sentence: string;
  place: string;
  condition: number | null;
  change: string;
  taken_as: string[];
}
