-- Patient numbers that ended in a merge (A40) into the case's patient: a final report under one of them is this patient's.
ALTER TABLE cases ADD COLUMN merged_numbers text[] NOT NULL DEFAULT '{}';
