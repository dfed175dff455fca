-- Dismissals whose doubt has settled itself since: the decision stands as it was made, and covers no later doubt.
CREATE TABLE desk_settled (
    site_id text NOT NULL,
    decision_id uuid NOT NULL,
    settled_at timestamptz NOT NULL,
    PRIMARY KEY (site_id, decision_id)
);

CREATE OR REPLACE VIEW desk_dismissed AS
    SELECT d.site_id, d.case_id, d.entry_kind, d.entry_subject, d.entry_reason FROM desk_decisions d
    WHERE d.kind = 'dismiss'
    AND NOT EXISTS (SELECT FROM desk_decisions u WHERE u.site_id = d.site_id AND u.undoes = d.decision_id)
    AND NOT EXISTS (SELECT FROM desk_settled s WHERE s.site_id = d.site_id AND s.decision_id = d.decision_id);
