CREATE TABLE procedure_steps (
    site_id text NOT NULL,
    procedure_step_uid text NOT NULL,
    status text NOT NULL CHECK (status IN ('IN PROGRESS', 'COMPLETED', 'DISCONTINUED')),
    study_instance_uids text[] NOT NULL,
    accession_numbers text[] NOT NULL,
    calling_ae_title text NOT NULL,
    begun_at timestamptz,
    ended_at timestamptz,
    PRIMARY KEY (site_id, procedure_step_uid)
);

CREATE INDEX procedure_steps_by_study ON procedure_steps USING gin (study_instance_uids);
CREATE INDEX procedure_steps_by_accession ON procedure_steps USING gin (accession_numbers);

CREATE TABLE commitments (
    site_id text NOT NULL,
    transaction_uid text NOT NULL,
    calling_ae_title text NOT NULL,
    association_id uuid NOT NULL,
    event_id uuid NOT NULL,
    traceparent text NOT NULL,
    answer_here boolean NOT NULL,
    instances jsonb NOT NULL,
    requested_at timestamptz NOT NULL,
    judged_at timestamptz,
    failed jsonb,
    answered_at timestamptz,
    given_up_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    reason text NOT NULL DEFAULT '',
    PRIMARY KEY (site_id, transaction_uid, calling_ae_title)
);
CREATE INDEX commitments_to_do ON commitments (next_at) WHERE answered_at IS NULL AND given_up_at IS NULL;

CREATE INDEX instances_by_sop ON instances (site_id, sop_instance_uid);
