-- A signed document that waits for something of its own (its images, room for its messages) lets the others pass.
ALTER TABLE release_requests ADD COLUMN next_attempt_at timestamptz NOT NULL DEFAULT 'epoch';
