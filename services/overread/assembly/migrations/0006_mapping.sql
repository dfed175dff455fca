-- What a link's codes mean at the site: every version whole, as it was imported. The newest version of a site counts.
-- Orders that are there already are brought to a new version in batches: up to order `applied_to`, all once `is_applied`.
CREATE TABLE mapping_versions (
    site_id text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    origin text NOT NULL,
    digest text NOT NULL,
    rows jsonb NOT NULL,
    row_count integer NOT NULL,
    added integer NOT NULL,
    changed integer NOT NULL,
    removed integer NOT NULL,
    applied_to uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    orders_told integer NOT NULL DEFAULT 0,
    is_applied boolean NOT NULL DEFAULT false,
    PRIMARY KEY (site_id, version)
);
CREATE INDEX mapping_versions_to_apply ON mapping_versions (site_id, version) WHERE NOT is_applied;

-- Codes that came and that the mapping did not name then: counted, with the text that the sender wrote beside the code.
CREATE TABLE unmapped_codes (
    site_id text NOT NULL,
    link_id text NOT NULL,
    kind text NOT NULL,
    code text NOT NULL,
    coding_system text NOT NULL,
    example text NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (site_id, link_id, kind, code, coding_system)
);

-- The links that orders came in on, and where each keeps the accession number (empty: the usual places).
CREATE TABLE ordering_links (
    site_id text NOT NULL,
    link_id text NOT NULL,
    accession_places text[] NOT NULL,
    PRIMARY KEY (site_id, link_id)
);

-- Cases with a signed report: a changed mapping leaves their orders as they were told.
CREATE TABLE read_cases (
    site_id text NOT NULL,
    case_id uuid NOT NULL,
    PRIMARY KEY (site_id, case_id)
);
