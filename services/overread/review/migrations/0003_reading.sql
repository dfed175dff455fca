-- The study revision that newer images put out of date, 0 when none did: until the next one is ready nobody signs.
ALTER TABLE cases ADD COLUMN superseded_revision integer NOT NULL DEFAULT 0;

-- A final report that was taken back: the document that a clinician signed for it. The trigger on reports demands it.
CREATE TABLE withdrawals (
    site_id text NOT NULL,
    report_id uuid NOT NULL,
    report_revision integer NOT NULL,
    final_digest text NOT NULL,
    subject text NOT NULL,
    document bytea NOT NULL,
    digest text NOT NULL,
    signature bytea NOT NULL,
    certificate_pem text NOT NULL,
    signed_at timestamptz NOT NULL,
    PRIMARY KEY (site_id, report_id, report_revision),
    FOREIGN KEY (site_id, report_id, report_revision) REFERENCES reports
);
CREATE TRIGGER withdrawals_stay BEFORE UPDATE OR DELETE ON withdrawals FOR EACH ROW EXECUTE FUNCTION never_changes();
CREATE TRIGGER withdrawals_stay_whole BEFORE TRUNCATE ON withdrawals FOR EACH STATEMENT EXECUTE FUNCTION never_changes();
ALTER TABLE reports ADD COLUMN withdrawal_digest text NOT NULL DEFAULT '';

-- What a clinician is asked about a final report; answered once, never removed.
CREATE TABLE tasks (
    site_id text NOT NULL,
    task_id uuid NOT NULL,
    case_id uuid NOT NULL,
    report_id uuid NOT NULL,
    kind text NOT NULL,
    study_revision integer NOT NULL,
    raised_at timestamptz NOT NULL,
    answer text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    answered_by text NOT NULL DEFAULT '',
    answered_at timestamptz,
    PRIMARY KEY (site_id, task_id)
);
CREATE INDEX tasks_of_report ON tasks (site_id, report_id, study_revision);

-- Who is signed in on the page. The cookie holds a secret; only its digest is here.
CREATE TABLE sessions (
    site_id text NOT NULL,
    secret_digest text NOT NULL,
    subject text NOT NULL,
    identity jsonb NOT NULL,
    opened_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (site_id, secret_digest)
);
CREATE INDEX sessions_ending ON sessions (ends_at);

-- The worklist: one row a case, written with whatever changes it; `row` is what is shown, the rest sorts and finds.
-- `row_version` grows with each change, so their sum does too: a page asks by it whether anything changed.
CREATE TABLE worklist (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    report_id uuid NOT NULL,
    is_open boolean NOT NULL,
    priority_rank integer NOT NULL,
    waiting_since timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    status text NOT NULL,
    ai_kind text NOT NULL,
    modalities text[] NOT NULL,
    search_text text NOT NULL,
    row jsonb NOT NULL,
    row_version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (site_id, case_id)
);
CREATE INDEX worklist_open ON worklist (site_id, priority_rank, waiting_since, case_id) WHERE is_open;
CREATE INDEX worklist_changes ON worklist (site_id) INCLUDE (row_version);
CREATE INDEX worklist_done ON worklist (site_id, changed_at DESC, case_id) WHERE NOT is_open;
