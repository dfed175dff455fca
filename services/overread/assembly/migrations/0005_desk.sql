-- What a person decided at the desk: never rewritten. Of a pair of case and order the newest that is not undone holds, for
-- whatever message or image comes later. `seen` is what stood before the person: the verdict of the numbers, the score.
CREATE TABLE desk_decisions (
    site_id text NOT NULL,
    decision_id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    kind text NOT NULL CHECK (kind IN ('attach', 'keep_apart', 'detach', 'dismiss', 'undo')),
    case_id uuid,
    order_id uuid,
    entry_kind text NOT NULL DEFAULT '',
    entry_subject text NOT NULL DEFAULT '',
    entry_reason text NOT NULL DEFAULT '',
    decided_by text NOT NULL,
    decided_at timestamptz NOT NULL,
    reason text NOT NULL,
    seen jsonb NOT NULL,
    undoes uuid,
    PRIMARY KEY (site_id, decision_id)
);
CREATE INDEX desk_decisions_by_pair ON desk_decisions (site_id, case_id, order_id, number);
CREATE INDEX desk_decisions_by_order ON desk_decisions (site_id, order_id, number);
CREATE INDEX desk_decisions_by_number ON desk_decisions (site_id, number);
CREATE INDEX desk_decisions_by_entry ON desk_decisions (site_id, entry_kind, entry_subject) WHERE kind = 'dismiss';
CREATE UNIQUE INDEX desk_decisions_undone_once ON desk_decisions (site_id, undoes) WHERE undoes IS NOT NULL;

-- A name for comparison, as `patients.fold` has it: no diacritics, upper case, words in order of the alphabet. Assembly
-- writes it with each order and case; the function folds what was there before.
CREATE FUNCTION fold_name(patient jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(string_agg(word, ' ' ORDER BY word COLLATE "C"), '')
    FROM regexp_split_to_table(
        regexp_replace(
            upper(regexp_replace(normalize(translate(
                (patient ->> 'family_name') || ' ' || (patient ->> 'given_name'), 'đĐ', 'dD'
            ), NFD), '[\u0300-\u036f]', '', 'g')),
            '[^A-Z0-9]+', ' ', 'g'
        ),
        ' '
    ) AS word
    WHERE word <> ''
$$;
ALTER TABLE orders ADD COLUMN folded_name text NOT NULL DEFAULT '';
ALTER TABLE cases ADD COLUMN folded_name text NOT NULL DEFAULT '';
UPDATE orders SET folded_name = coalesce(fold_name(patient), '');
UPDATE cases SET folded_name = coalesce(fold_name(imaged_patient), '');
CREATE INDEX orders_by_name ON orders (site_id, folded_name) WHERE folded_name <> '';
CREATE INDEX cases_by_name ON cases (site_id, folded_name) WHERE folded_name <> '';

CREATE INDEX orders_by_newest ON orders (site_id, newest_sent_at DESC, order_id DESC);
-- When the case's first image came; of cases from before, when this column did.
ALTER TABLE cases ADD COLUMN born_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX cases_by_birth ON cases (site_id, born_at DESC, case_id DESC);
CREATE INDEX desk_by_time ON desk (site_id, raised_at);

-- The dismissals that hold.
CREATE VIEW desk_dismissed AS
    SELECT d.site_id, d.case_id, d.entry_kind, d.entry_subject, d.entry_reason FROM desk_decisions d
    WHERE d.kind = 'dismiss'
    AND NOT EXISTS (SELECT FROM desk_decisions u WHERE u.site_id = d.site_id AND u.undoes = d.decision_id);
