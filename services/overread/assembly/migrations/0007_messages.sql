-- Every message that was taken, by what people look for it: where it lies, what became of it, and the numbers in it. Of
-- patients' numbers only keyed digests are here; the content stays in the topic, and a row goes when its record has gone.
CREATE TABLE messages (
    site_id text NOT NULL,
    event_id uuid NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    link_id text NOT NULL,
    message_type text NOT NULL,
    trigger_event text NOT NULL,
    message_control_id text NOT NULL,
    received_at timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('used', 'set_aside')),
    reason text NOT NULL,
    corrects uuid,
    answered_by uuid,
    keys text[] NOT NULL,
    PRIMARY KEY (site_id, event_id)
);
CREATE INDEX messages_by_time ON messages (site_id, received_at DESC, event_id);
CREATE INDEX messages_by_key ON messages USING gin (keys);
