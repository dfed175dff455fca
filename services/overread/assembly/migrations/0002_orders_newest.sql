-- Up to which message an order is folded: its place in the sender's sequence. NULL in rows from before; the next message
-- about such an order folds it from all of them, and notes it.
ALTER TABLE orders
    ADD COLUMN newest_sent_at timestamptz,
    ADD COLUMN newest_said_at timestamptz,
    ADD COLUMN newest_rank integer;
