-- A clinician's word after a hold is a submission of its own, and comes on reports.signed as the signature did.
DROP TRIGGER release_requests_has_work ON release_requests;
ALTER TABLE release_requests DROP COLUMN is_released_by_person;
ALTER TABLE release_requests ADD COLUMN released_by text NOT NULL DEFAULT '';
ALTER TABLE release_requests ADD COLUMN submission integer NOT NULL DEFAULT 1;
CREATE TRIGGER release_requests_has_work AFTER INSERT ON release_requests
    FOR EACH STATEMENT EXECUTE FUNCTION delivery_has_work();

-- The same submission sent again is the same request; a forged one takes nobody's place.
CREATE UNIQUE INDEX release_requests_once
    ON release_requests (site_id, report_id, report_revision, submission, digest, sha256(signature));

-- What a receiver wrote itself may quote the patient: it stays here, beside the codes of its answer in `reason`.
ALTER TABLE outbound ADD COLUMN receiver_text text NOT NULL DEFAULT '';
