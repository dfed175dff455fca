-- What that clinician saw of the case; NULL for a word from before, which is about its revision alone.
ALTER TABLE release_requests ADD COLUMN released_case jsonb;
