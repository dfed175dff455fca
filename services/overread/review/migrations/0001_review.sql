-- The newest case of each study, as `cases.changed` tells it.
CREATE TABLE cases (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    revision bigint NOT NULL,
    study_instance_uid text NOT NULL,
    snapshot jsonb NOT NULL,
    PRIMARY KEY (site_id, case_id)
);
CREATE INDEX cases_by_study ON cases (site_id, study_instance_uid);
CREATE INDEX cases_by_order ON cases USING gin ((snapshot -> 'orders') jsonb_path_ops);

-- The first plan of each study revision; `awaits_draft` until its draft opened or its deadline passed.
CREATE TABLE plans (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    study_revision integer NOT NULL,
    deadline timestamptz NOT NULL,
    plan jsonb NOT NULL,
    awaits_draft boolean NOT NULL DEFAULT true,
    PRIMARY KEY (site_id, case_id, study_revision)
);
CREATE INDEX plans_awaiting ON plans (deadline) WHERE awaits_draft;

-- What each model version said about each study revision.
CREATE TABLE results (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    study_revision integer NOT NULL,
    model_name text NOT NULL,
    model_version text NOT NULL,
    ended_at timestamptz NOT NULL,
    result jsonb NOT NULL,
    PRIMARY KEY (site_id, case_id, study_revision, model_name, model_version)
);

-- One report a case: the row that is locked first, and counts the report's revisions and events.
CREATE TABLE report_heads (
    site_id text NOT NULL,
    report_id uuid NOT NULL,
    case_id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    report_revision integer NOT NULL DEFAULT 0,
    revision bigint NOT NULL DEFAULT 0,
    cause_id uuid,
    traceparent text NOT NULL DEFAULT '',
    PRIMARY KEY (site_id, report_id),
    UNIQUE (site_id, case_id)
);

CREATE TABLE reports (
    site_id text NOT NULL,
    report_id uuid NOT NULL,
    report_revision integer NOT NULL,
    case_id uuid NOT NULL,
    study_revision integer NOT NULL,
    identity_version integer NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    changed_by text NOT NULL,
    claimed_by text NOT NULL DEFAULT '',
    claimed_at timestamptz,
    document bytea NOT NULL,
    digest text NOT NULL,
    basis text NOT NULL,
    signed_digest text NOT NULL DEFAULT '',
    drafted_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (site_id, report_id, report_revision),
    FOREIGN KEY (site_id, report_id) REFERENCES report_heads
);
CREATE INDEX reports_claimed ON reports (claimed_at) WHERE state = 'in_review';

-- The signed document, its signature and the certificate it is judged by.
CREATE TABLE signatures (
    site_id text NOT NULL,
    report_id uuid NOT NULL,
    report_revision integer NOT NULL,
    subject text NOT NULL,
    document bytea NOT NULL,
    digest text NOT NULL,
    signature bytea NOT NULL,
    certificate_pem text NOT NULL,
    signed_at timestamptz NOT NULL,
    PRIMARY KEY (site_id, report_id, report_revision),
    FOREIGN KEY (site_id, report_id, report_revision) REFERENCES reports
);

-- Every action a report was offered, also those that changed nothing.
CREATE TABLE report_history (
    site_id text NOT NULL,
    report_id uuid NOT NULL,
    report_revision integer NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    action text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (site_id, report_id, report_revision, number)
);

-- How each message about a report ended at its destination.
CREATE TABLE deliveries (
    site_id text NOT NULL,
    delivery_id uuid NOT NULL,
    report_id uuid NOT NULL,
    report_revision integer NOT NULL,
    ended_at timestamptz NOT NULL,
    delivery jsonb NOT NULL,
    PRIMARY KEY (site_id, delivery_id)
);
CREATE INDEX deliveries_by_report ON deliveries (site_id, report_id, report_revision);

-- The site's own certificate authority; its key is encrypted.
CREATE TABLE site_ca (
    site_id text PRIMARY KEY,
    private_key_pem bytea NOT NULL,
    certificate_pem bytea NOT NULL,
    made_at timestamptz NOT NULL
);

-- Clinicians' keys, encrypted; a new one before the old one's certificate ends.
CREATE TABLE clinician_keys (
    site_id text NOT NULL,
    subject text NOT NULL,
    made_at timestamptz NOT NULL,
    not_after timestamptz NOT NULL,
    private_key_pem bytea NOT NULL,
    certificate_pem bytea NOT NULL,
    PRIMARY KEY (site_id, subject, made_at)
);

CREATE FUNCTION never_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never changed or removed', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER signatures_stay BEFORE UPDATE OR DELETE ON signatures FOR EACH ROW EXECUTE FUNCTION never_changes();
CREATE TRIGGER signatures_stay_whole BEFORE TRUNCATE ON signatures FOR EACH STATEMENT EXECUTE FUNCTION never_changes();
CREATE TRIGGER history_stays BEFORE UPDATE OR DELETE ON report_history FOR EACH ROW EXECUTE FUNCTION never_changes();
CREATE TRIGGER history_stays_whole BEFORE TRUNCATE ON report_history FOR EACH STATEMENT EXECUTE FUNCTION never_changes();
CREATE TRIGGER reports_stay BEFORE DELETE ON reports FOR EACH ROW EXECUTE FUNCTION never_changes();
CREATE TRIGGER reports_stay_whole BEFORE TRUNCATE ON reports FOR EACH STATEMENT EXECUTE FUNCTION never_changes();
