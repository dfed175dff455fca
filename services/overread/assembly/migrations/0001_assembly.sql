CREATE TABLE orders (
    site_id text NOT NULL,
    order_id uuid NOT NULL,
    revision integer NOT NULL,
    accession_number text,
    study_instance_uid text,
    service_request jsonb NOT NULL,
    patient jsonb NOT NULL,
    PRIMARY KEY (site_id, order_id)
);
CREATE INDEX orders_by_accession ON orders (site_id, accession_number);
CREATE INDEX orders_by_study ON orders (site_id, study_instance_uid);

CREATE TABLE order_messages (
    site_id text NOT NULL,
    order_id uuid NOT NULL,
    event_id uuid NOT NULL,
    suffix text NOT NULL,
    arrival bigint GENERATED ALWAYS AS IDENTITY,
    message jsonb NOT NULL,
    PRIMARY KEY (site_id, order_id, event_id, suffix)
);

CREATE TABLE order_numbers (
    site_id text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('placer', 'filler')),
    number text NOT NULL,
    suffix text NOT NULL,
    order_id uuid NOT NULL,
    PRIMARY KEY (site_id, kind, number, suffix)
);
CREATE INDEX order_numbers_by_number ON order_numbers (site_id, number);

CREATE TABLE cases (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    study_instance_uid text NOT NULL,
    revision integer NOT NULL DEFAULT 0,
    identity_version integer NOT NULL DEFAULT 0,
    imaged_patient jsonb NOT NULL,
    is_synthetic boolean NOT NULL DEFAULT false,
    modalities text[] NOT NULL DEFAULT '{}',
    study jsonb,
    is_superseded boolean NOT NULL DEFAULT false,
    first_unread_at timestamptz,
    last_signal_at timestamptz,
    last_event_id uuid,
    last_traceparent text,
    PRIMARY KEY (site_id, case_id),
    UNIQUE (site_id, study_instance_uid)
);

CREATE TABLE case_accessions (
    site_id text NOT NULL,
    accession_number text NOT NULL,
    case_id uuid NOT NULL,
    PRIMARY KEY (site_id, accession_number, case_id)
);
CREATE INDEX case_accessions_by_case ON case_accessions (site_id, case_id);

CREATE TABLE case_orders (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    order_id uuid NOT NULL,
    PRIMARY KEY (site_id, case_id, order_id)
);
CREATE INDEX case_orders_by_order ON case_orders (site_id, order_id);

CREATE TABLE instances (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    sop_instance_uid text NOT NULL,
    digest text NOT NULL,
    is_conflicting boolean NOT NULL,
    is_accompanying boolean NOT NULL,
    stored jsonb NOT NULL,
    PRIMARY KEY (site_id, case_id, sop_instance_uid, digest)
);

CREATE TABLE associations (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    association_id uuid NOT NULL,
    opened_at timestamptz NOT NULL,
    is_closed boolean NOT NULL,
    PRIMARY KEY (site_id, case_id, association_id)
);

CREATE TABLE restarts (
    site_id text PRIMARY KEY,
    restarted_at timestamptz NOT NULL
);

CREATE TABLE timers (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    due_at timestamptz NOT NULL,
    basis text NOT NULL,
    partition integer NOT NULL,
    PRIMARY KEY (site_id, case_id)
);
CREATE INDEX timers_by_due ON timers (due_at);

CREATE TABLE desk (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL,
    raised_at timestamptz NOT NULL,
    PRIMARY KEY (site_id, case_id, kind, subject)
);
CREATE INDEX desk_by_subject ON desk (site_id, kind, subject);
