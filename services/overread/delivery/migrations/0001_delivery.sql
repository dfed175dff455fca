-- What delivery knows of each case: the newest snapshot of cases.changed, and the partition it comes on.
CREATE TABLE cases (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    revision integer NOT NULL,
    identity_version integer NOT NULL,
    snapshot jsonb NOT NULL,
    partition integer NOT NULL,
    PRIMARY KEY (site_id, case_id)
);

-- Signed documents on their way through the gate: one row for each event of reports.signed.
CREATE TABLE release_requests (
    site_id text NOT NULL,
    event_id uuid NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    case_id uuid NOT NULL,
    report_id uuid NOT NULL,
    report_revision integer NOT NULL,
    traceparent text NOT NULL,
    document bytea NOT NULL,
    digest text NOT NULL,
    signature bytea NOT NULL,
    certificate_pem text NOT NULL,
    signed_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'released', 'held')),
    reason text NOT NULL DEFAULT '',
    decided_at timestamptz,
    -- A clinician let the held report go out as it was signed, although the case had moved.
    is_released_by_person boolean NOT NULL DEFAULT false,
    PRIMARY KEY (site_id, event_id)
);
CREATE INDEX release_requests_pending ON release_requests (position) WHERE state = 'pending';
CREATE INDEX release_requests_of_report ON release_requests (site_id, report_id);

-- Messages, kept as the bytes that are sent, before the first send; every resend is these bytes.
CREATE TABLE outbound (
    site_id text NOT NULL,
    delivery_id uuid NOT NULL,
    position bigint GENERATED ALWAYS AS IDENTITY,
    destination text NOT NULL,
    form text NOT NULL,
    case_id uuid NOT NULL,
    report_id uuid NOT NULL,
    report_revision integer NOT NULL,
    order_id uuid,
    status text NOT NULL CHECK (status IN ('R', 'P', 'F', 'C', 'X')),
    message bytea NOT NULL,
    message_digest text NOT NULL,
    message_control_id text NOT NULL,
    document bytea NOT NULL,
    caused_by uuid NOT NULL,
    traceparent text NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'acknowledged', 'given_up')),
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    reason text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (site_id, delivery_id),
    UNIQUE NULLS NOT DISTINCT (site_id, destination, report_id, report_revision, status, order_id)
);
CREATE INDEX outbound_open ON outbound (site_id, destination, position) WHERE state IN ('waiting', 'sending');
CREATE INDEX outbound_of_case ON outbound (site_id, destination, case_id, position) WHERE state IN ('waiting', 'sending');

-- A message is rendered once: neither its bytes nor what it says may change afterwards, and none is forgotten.
CREATE FUNCTION outbound_is_rendered_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'an outbound message is never deleted';
    END IF;
    IF (OLD.site_id, OLD.delivery_id, OLD.destination, OLD.case_id, OLD.report_id, OLD.report_revision, OLD.order_id, OLD.status,
        OLD.message, OLD.message_digest, OLD.message_control_id, OLD.document)
        IS DISTINCT FROM
       (NEW.site_id, NEW.delivery_id, NEW.destination, NEW.case_id, NEW.report_id, NEW.report_revision, NEW.order_id, NEW.status,
        NEW.message, NEW.message_digest, NEW.message_control_id, NEW.document) THEN
        RAISE EXCEPTION 'an outbound message is rendered once';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER outbound_is_rendered_once BEFORE UPDATE OR DELETE ON outbound
    FOR EACH ROW EXECUTE FUNCTION outbound_is_rendered_once();

-- A verified message exists only beside the release of exactly its revision.
CREATE FUNCTION outbound_final_was_released() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status IN ('F', 'C') AND NOT EXISTS (
        SELECT FROM release_requests
        WHERE site_id = NEW.site_id AND report_id = NEW.report_id AND report_revision = NEW.report_revision
          AND document = NEW.document AND state = 'released') THEN
        RAISE EXCEPTION 'a final message needs a released report';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER outbound_final_was_released BEFORE INSERT ON outbound
    FOR EACH ROW EXECUTE FUNCTION outbound_final_was_released();

CREATE FUNCTION delivery_has_work() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('work_' || TG_TABLE_SCHEMA, TG_TABLE_NAME);
    RETURN NULL;
END $$;
CREATE TRIGGER outbound_has_work AFTER INSERT ON outbound
    FOR EACH STATEMENT EXECUTE FUNCTION delivery_has_work();
CREATE TRIGGER release_requests_has_work AFTER INSERT OR UPDATE OF is_released_by_person ON release_requests
    FOR EACH STATEMENT EXECUTE FUNCTION delivery_has_work();
