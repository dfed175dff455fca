CREATE TABLE instances (
    site_id text NOT NULL,
    object_key text NOT NULL,
    study_instance_uid text NOT NULL,
    series_instance_uid text NOT NULL,
    sop_instance_uid text NOT NULL,
    sop_class_uid text NOT NULL,
    transfer_syntax_uid text NOT NULL,
    digest text NOT NULL,
    size_bytes bigint NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (site_id, object_key)
);
CREATE INDEX instances_by_study ON instances (site_id, study_instance_uid, sop_instance_uid);

CREATE TABLE sweeps (
    site_id text NOT NULL,
    intake text NOT NULL,
    restarted_at timestamptz NOT NULL,
    event_id uuid NOT NULL,
    traceparent text NOT NULL,
    is_done boolean NOT NULL DEFAULT false,
    PRIMARY KEY (site_id, intake, restarted_at)
);
