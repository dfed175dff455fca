-- What a clinician saw of the case who let a held report go; NULL for a word from before, which is about its revision alone.
ALTER TABLE reports ADD COLUMN released_case jsonb;
