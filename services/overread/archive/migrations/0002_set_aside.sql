CREATE TABLE set_aside (
    site_id text NOT NULL,
    object_key text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (site_id, object_key)
);
