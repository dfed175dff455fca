CREATE TABLE worklist (
    site_id text NOT NULL,
    order_id uuid NOT NULL,
    revision integer NOT NULL,
    is_open boolean NOT NULL,
    is_performed boolean NOT NULL DEFAULT false,
    scheduled_at timestamptz NOT NULL,
    modality text NOT NULL,
    accession_number text NOT NULL,
    study_instance_uid text NOT NULL,
    said jsonb NOT NULL,
    PRIMARY KEY (site_id, order_id)
);
CREATE INDEX worklist_by_time ON worklist (site_id, scheduled_at) WHERE is_open AND NOT is_performed;
CREATE INDEX worklist_by_study ON worklist (site_id, study_instance_uid);
CREATE INDEX worklist_by_accession ON worklist (site_id, accession_number);
