CREATE TABLE study_lists (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    list_id uuid NOT NULL,
    kind text NOT NULL,
    part integer NOT NULL,
    parts integer NOT NULL,
    sop_instance_uids text[] NOT NULL,
    PRIMARY KEY (site_id, case_id, list_id, part)
);

CREATE TABLE open_steps (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    list_id uuid NOT NULL,
    PRIMARY KEY (site_id, case_id, list_id)
);
