-- Systems number alike: an order's number without a namespace is its sender's. Empty where the number says whose it is, and
-- in rows from before; such a row still names its order for the link that the order came over.
ALTER TABLE order_numbers
    ADD COLUMN sender text NOT NULL DEFAULT '',
    DROP CONSTRAINT order_numbers_pkey,
    ADD PRIMARY KEY (site_id, kind, number, suffix, sender);
