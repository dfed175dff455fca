-- A reader's report that another system sent, by the number that names it: its newest word, and what it could be about.
CREATE TABLE reader_reports (
    site_id text NOT NULL,
    report_key text NOT NULL,
    accession_numbers text[] NOT NULL,
    order_numbers text[] NOT NULL,
    study_instance_uid text NOT NULL,
    report jsonb NOT NULL,
    PRIMARY KEY (site_id, report_key)
);
CREATE INDEX reader_reports_by_accession ON reader_reports USING gin (accession_numbers);
CREATE INDEX reader_reports_by_number ON reader_reports USING gin (order_numbers);
CREATE INDEX reader_reports_by_study ON reader_reports (site_id, study_instance_uid) WHERE study_instance_uid <> '';
CREATE INDEX order_numbers_by_entity ON order_numbers (site_id, split_part(number, '^', 1));

-- What laboratories and bedside devices observed: the newest word about each (OBR-3, OBX-3, OBX-4); of a code that is on
-- no list `concept` is empty, and it is never shown.
CREATE TABLE observations (
    site_id text NOT NULL,
    report_key text NOT NULL,
    code text NOT NULL,
    sub_id text NOT NULL,
    concept text NOT NULL,
    id_numbers text[] NOT NULL,
    moment timestamptz NOT NULL,
    observation jsonb NOT NULL,
    PRIMARY KEY (site_id, report_key, code, sub_id)
);
CREATE INDEX observations_by_patient ON observations USING gin (id_numbers) WHERE concept <> '';

-- Under which numbers a case's patient is known, so that a result finds the cases it belongs beside.
CREATE TABLE case_patients (
    site_id text NOT NULL,
    id_number text NOT NULL,
    case_id uuid NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, id_number, case_id)
);
INSERT INTO case_patients (site_id, id_number, case_id)
    SELECT c.site_id, one ->> 'id_number', c.case_id FROM cases c, jsonb_array_elements(c.imaged_patient -> 'identifiers') one
    UNION
    SELECT l.site_id, one ->> 'id_number', l.case_id FROM case_orders l JOIN orders o USING (site_id, order_id),
        jsonb_array_elements(o.patient -> 'identifiers') one;

-- What the newest event of a case said about it beyond patient, orders and images: only what differs is told.
CREATE TABLE case_contexts (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    told jsonb NOT NULL,
    PRIMARY KEY (site_id, case_id)
);

-- When an order's examination is booked, as a scheduling system said it last; a note, which may come before the order.
CREATE TABLE appointments (
    site_id text NOT NULL,
    appointment_key text NOT NULL,
    numbers text[] NOT NULL,
    notice jsonb NOT NULL,
    PRIMARY KEY (site_id, appointment_key)
);
CREATE INDEX appointments_by_number ON appointments USING gin (numbers);
