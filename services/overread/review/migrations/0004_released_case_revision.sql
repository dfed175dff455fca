-- Which revision of the case was on screen when a clinician let a held report go.
ALTER TABLE reports ADD COLUMN released_case_revision integer;
