/** What the mapping's API answers. */

export type Kind = "service" | "ward" | "doctor" | "code_system";

export interface Key {
  kind: Kind;
  link: string;
  code: string;
  system: string;
}

export interface Row extends Key {
  to_code: string;
  to_system: string;
  vi: string;
  en: string;
  fr: string;
  modality: string;
  body_part: string;
  models: string[];
  department: string;
}

export interface MappingView {
  version: number;
  rows: Row[];
  links: { link: string; accession_places: string[] }[];
  models: string[];
}

export interface Unmapped extends Key {
  example: string;
  first_seen: string;
  last_seen: string;
  count: number;
}

export interface Version {
  version: number;
  made_at: string;
  made_by: string;
  origin: string;
  digest: string;
  row_count: number;
  added: number;
  changed: number;
  removed: number;
  orders_told: number;
  is_applied: boolean;
}

export interface Fault {
  row: number;
  column: string;
  fault: string;
  said: string;
  words: string;
}

export interface Difference {
  version: number;
  added: Row[];
  changed: { row: Row; columns: { column: string; before: string; after: string }[] }[];
  removed: Row[];
  unchanged: number;
  orders: number;
  orders_at_least: boolean;
  faults: Fault[];
}

export const KINDS: readonly Kind[] = ["service", "ward", "doctor", "code_system"];
export const EMPTY: Omit<Row, "kind" | "code"> = {
  link: "",
  system: "",
  to_code: "",
  to_system: "",
  vi: "",
  en: "",
  fr: "",
  modality: "",
  body_part: "",
  models: [],
  department: "",
};

/** Return what tells a row from others. */
export function nameOfKey(key: Key): string {
  return [key.kind, key.link, key.code, key.system].join("|");
}
