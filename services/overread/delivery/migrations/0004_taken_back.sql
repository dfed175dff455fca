-- What a withdrawal says of a report holds for each destination, also for one that had nothing to hear of it: X of what
-- nobody had signed, W by a clinician's signature; of this revision and of those before it.
CREATE TABLE taken_back (
    site_id text NOT NULL,
    report_id uuid NOT NULL,
    status text NOT NULL CHECK (status IN ('X', 'W')),
    report_revision integer NOT NULL,
    PRIMARY KEY (site_id, report_id, status)
);
INSERT INTO taken_back (site_id, report_id, status, report_revision)
SELECT site_id, report_id, status, max(report_revision) FROM (
    SELECT site_id, report_id, status, report_revision FROM outbound WHERE status IN ('X', 'W')
    UNION ALL
    SELECT site_id, report_id, 'W', report_revision FROM release_requests
    WHERE state = 'released' AND (convert_from(document, 'UTF8')::json -> 'withdrawal')::text <> 'null') AS known
GROUP BY site_id, report_id, status;

-- Whether what a message says still holds: no later word on its report went the same way, no later revision of it was
-- released, and nobody took it back. What takes back is overtaken by a later word alone.
CREATE FUNCTION still_holds(o outbound) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM outbound AS l WHERE l.site_id = o.site_id AND l.destination = o.destination
            AND l.report_id = o.report_id AND l.position > o.position
            AND (l.report_revision, l.status) <> (o.report_revision, o.status))
    AND (o.status IN ('X', 'W') OR (
        NOT EXISTS (
            SELECT FROM taken_back AS t WHERE t.site_id = o.site_id AND t.report_id = o.report_id
                AND t.report_revision >= o.report_revision AND (t.status = 'W' OR o.status IN ('R', 'P')))
        AND NOT EXISTS (
            SELECT FROM release_requests AS r WHERE r.site_id = o.site_id AND r.report_id = o.report_id
                AND r.state = 'released' AND r.report_revision > o.report_revision)))
$$;

-- A message that has ended leaves again only by an operator's retry, and only while what it says still holds. The lock
-- is the one under which it is decided what follows on what for the report.
CREATE FUNCTION outbound_leaves_again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'acknowledged' OR NEW.state <> 'waiting' THEN
        RAISE EXCEPTION 'an outbound message that has ended is not sent';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(OLD.site_id || '/' || OLD.report_id, 0));
    IF NOT still_holds(OLD) THEN
        RAISE EXCEPTION 'a later word on this report stands for it';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER outbound_leaves_again BEFORE UPDATE ON outbound
    FOR EACH ROW WHEN (OLD.state NOT IN ('waiting', 'sending') AND NEW.state IN ('waiting', 'sending'))
    EXECUTE FUNCTION outbound_leaves_again();
