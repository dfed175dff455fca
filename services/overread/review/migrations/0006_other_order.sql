-- A question about a final report whose orders are not the case's any more knows as of which identity it was asked.
ALTER TABLE tasks ADD COLUMN identity_version integer NOT NULL DEFAULT 0;
