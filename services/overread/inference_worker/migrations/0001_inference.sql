CREATE TABLE jobs (
    site_id text NOT NULL,
    job_id uuid NOT NULL,
    case_id uuid NOT NULL,
    study_revision integer NOT NULL,
    model_name text NOT NULL,
    model_version text NOT NULL,
    lane text NOT NULL CHECK (lane IN ('stat', 'routine')),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'cancelled')),
    attempts integer NOT NULL DEFAULT 0,
    requested jsonb NOT NULL,
    event_id uuid NOT NULL,
    traceparent text NOT NULL,
    waiting_since timestamptz NOT NULL,
    not_before timestamptz NOT NULL,
    leased_until timestamptz,
    lease uuid,
    started_at timestamptz,
    PRIMARY KEY (site_id, job_id),
    UNIQUE (site_id, case_id, study_revision, model_name, model_version)
);
CREATE INDEX jobs_to_claim ON jobs (state, not_before) WHERE state IN ('waiting', 'running');
