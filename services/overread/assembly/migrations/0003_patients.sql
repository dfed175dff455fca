-- What ADT messages said of patients: never rewritten, folded into the records below. `keys` tie together what is
-- about one patient.
CREATE TABLE patient_statements (
    site_id text NOT NULL,
    event_id uuid NOT NULL,
    group_number integer NOT NULL,
    arrival bigint GENERATED ALWAYS AS IDENTITY,
    keys text[] NOT NULL,
    statement jsonb NOT NULL,
    PRIMARY KEY (site_id, event_id, group_number)
);
CREATE INDEX patient_statements_by_key ON patient_statements USING gin (keys);

-- The patients as the statements say them together, and every number that each has or had: also those that a merge
-- ended, which stay aliases of the patient that survived.
CREATE TABLE patient_records (
    site_id text NOT NULL,
    record_id uuid NOT NULL,
    record jsonb NOT NULL,
    PRIMARY KEY (site_id, record_id)
);
CREATE TABLE patient_numbers (
    site_id text NOT NULL,
    id_number text NOT NULL,
    record_id uuid NOT NULL,
    PRIMARY KEY (site_id, id_number, record_id)
);
CREATE INDEX patient_numbers_by_record ON patient_numbers (site_id, record_id);

-- Merges whose surviving patient nobody has named yet; `named_by` is the order's or image's event that does.
CREATE TABLE waiting_merges (
    site_id text NOT NULL,
    id_number text NOT NULL,
    key text NOT NULL,
    event_id uuid NOT NULL,
    named_by uuid,
    named_traceparent text,
    PRIMARY KEY (site_id, id_number, key, event_id)
);

-- What a person should look at about patients: `subject` is a record's id or the id of a message's event.
CREATE TABLE patient_desk (
    site_id text NOT NULL,
    kind text NOT NULL,
    subject uuid NOT NULL,
    reason text NOT NULL,
    raised_at timestamptz NOT NULL,
    PRIMARY KEY (site_id, kind, subject, reason)
);

CREATE INDEX orders_by_patient_number
    ON orders USING gin (jsonb_path_query_array(patient, '$.identifiers[*].id_number'));
CREATE INDEX cases_by_patient_number
    ON cases USING gin (jsonb_path_query_array(imaged_patient, '$.identifiers[*].id_number'));
