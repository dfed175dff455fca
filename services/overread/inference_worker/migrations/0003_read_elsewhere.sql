-- Which cases a reader of another system has reported: nobody waits for the models' opinion while that stands. What was
-- cancelled for it is taken up again if the report is taken back; `times_revived` tells a job's ends apart.
CREATE TABLE cases_read_elsewhere (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    PRIMARY KEY (site_id, case_id)
);
ALTER TABLE jobs
    ADD COLUMN is_read_elsewhere boolean NOT NULL DEFAULT false,
    ADD COLUMN times_revived integer NOT NULL DEFAULT 0;
