-- A report leaves in several forms, and a final one may be taken back by a signature (W).
ALTER TABLE outbound DROP CONSTRAINT outbound_status_check;
ALTER TABLE outbound ADD CONSTRAINT outbound_status_check CHECK (status IN ('R', 'P', 'F', 'C', 'X', 'W'));

-- One message of each form says a revision under a status; of segmentations and pictures there is one for each model.
DO $$
BEGIN
    EXECUTE format('ALTER TABLE outbound DROP CONSTRAINT %I',
        (SELECT conname FROM pg_constraint WHERE conrelid = 'outbound'::regclass AND contype = 'u'));
END $$;
CREATE UNIQUE INDEX outbound_once
    ON outbound (site_id, destination, report_id, report_revision, status, form, order_id) NULLS NOT DISTINCT
    WHERE form NOT IN ('seg', 'sc');
CREATE UNIQUE INDEX outbound_object_once
    ON outbound (site_id, destination, report_id, report_revision, status, message_control_id)
    WHERE form IN ('seg', 'sc');

-- The bytes of a large message are a stored object, named by their digest; the row then holds none.
ALTER TABLE outbound ADD COLUMN message_key text NOT NULL DEFAULT '';
ALTER TABLE outbound ADD CONSTRAINT outbound_has_its_bytes CHECK ((message = '') = (message_key <> ''));

CREATE OR REPLACE FUNCTION outbound_is_rendered_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'an outbound message is never deleted';
    END IF;
    IF (OLD.site_id, OLD.delivery_id, OLD.destination, OLD.form, OLD.case_id, OLD.report_id, OLD.report_revision,
        OLD.order_id, OLD.status, OLD.message, OLD.message_key, OLD.message_digest, OLD.message_control_id, OLD.document)
        IS DISTINCT FROM
       (NEW.site_id, NEW.delivery_id, NEW.destination, NEW.form, NEW.case_id, NEW.report_id, NEW.report_revision,
        NEW.order_id, NEW.status, NEW.message, NEW.message_key, NEW.message_digest, NEW.message_control_id, NEW.document)
        THEN
        RAISE EXCEPTION 'an outbound message is rendered once';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION outbound_final_was_released() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status IN ('F', 'C', 'W') AND NOT EXISTS (
        SELECT FROM release_requests
        WHERE site_id = NEW.site_id AND report_id = NEW.report_id AND report_revision = NEW.report_revision
          AND document = NEW.document AND state = 'released') THEN
        RAISE EXCEPTION 'a final message needs a released report';
    END IF;
    RETURN NEW;
END $$;
