-- The newest study revision of the case that newer images put out of date; 0 while none is.
ALTER TABLE cases ADD COLUMN superseded_revision integer NOT NULL DEFAULT 0;
