-- Which revision of the case a clinician saw who let a held report go: the word answers for nothing that came after it.
ALTER TABLE release_requests ADD COLUMN released_case_revision integer;
