-- A refused message that waits for an operator's word, by its destination's table of refusals; with it waits what is
-- behind it in its case.
ALTER TABLE outbound ADD COLUMN held_at timestamptz;
CREATE INDEX outbound_held ON outbound (site_id, destination) WHERE held_at IS NOT NULL AND state IN ('waiting', 'sending');

-- How the way to each destination is, as its sender last saw it: for operators, who do not see the sender's memory.
CREATE TABLE destination_states (
    site_id text NOT NULL,
    destination text NOT NULL,
    state text NOT NULL CHECK (state IN ('closed', 'half_open', 'open')),
    failures integer NOT NULL,
    reason text NOT NULL DEFAULT '',
    since timestamptz NOT NULL,
    PRIMARY KEY (site_id, destination)
);
