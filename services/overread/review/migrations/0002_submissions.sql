-- How often a signed revision was put before the gate, on whose word after a hold, and what the gate answered last.
ALTER TABLE reports ADD COLUMN submission integer NOT NULL DEFAULT 1;
ALTER TABLE reports ADD COLUMN repeats integer NOT NULL DEFAULT 0;
ALTER TABLE reports ADD COLUMN released_by text NOT NULL DEFAULT '';
ALTER TABLE reports ADD COLUMN gate_verdict text NOT NULL DEFAULT '' CHECK (gate_verdict IN ('', 'released', 'held'));
UPDATE reports SET gate_verdict = 'held' WHERE state = 'held';
