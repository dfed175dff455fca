-- The audit chain: each row holds its record's bytes, the hash before it, and the hash of both.
CREATE TABLE audit_chain (
    site_id text NOT NULL,
    position bigint NOT NULL,
    event_id uuid NOT NULL,
    record bytea NOT NULL,
    previous_hash text NOT NULL,
    hash text NOT NULL,
    PRIMARY KEY (site_id, position),
    UNIQUE (site_id, event_id)
);

-- What happened, pseudonymously: ids, states and counts, never a patient or a document.
CREATE TABLE facts (
    site_id text NOT NULL,
    event_id uuid NOT NULL,
    topic text NOT NULL,
    type text NOT NULL,
    source text NOT NULL,
    occurred_at timestamptz NOT NULL,
    subject uuid,
    case_id uuid,
    caused_by uuid,
    trace_id text NOT NULL,
    said jsonb NOT NULL,
    PRIMARY KEY (site_id, event_id)
);
CREATE INDEX facts_by_time ON facts (site_id, type, occurred_at);
CREATE INDEX facts_by_case ON facts (site_id, case_id);

CREATE FUNCTION only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% only grows: nothing in it is changed or removed', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER audit_chain_only_grows BEFORE UPDATE OR DELETE ON audit_chain
    FOR EACH ROW EXECUTE FUNCTION only_grows();
CREATE TRIGGER audit_chain_is_not_emptied BEFORE TRUNCATE ON audit_chain
    FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
CREATE TRIGGER facts_only_grow BEFORE UPDATE OR DELETE ON facts
    FOR EACH ROW EXECUTE FUNCTION only_grows();
CREATE TRIGGER facts_are_not_emptied BEFORE TRUNCATE ON facts
    FOR EACH STATEMENT EXECUTE FUNCTION only_grows();
REVOKE UPDATE, DELETE, TRUNCATE ON audit_chain, facts FROM CURRENT_USER;
