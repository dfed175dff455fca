-- Systems number alike: a number without a namespace is its sender's. Empty where the number says whose it is, and in rows
-- from before; the next word of their sender takes such a row over.
ALTER TABLE reader_reports
    ADD COLUMN sender text NOT NULL DEFAULT '',
    DROP CONSTRAINT reader_reports_pkey,
    ADD PRIMARY KEY (site_id, report_key, sender);
ALTER TABLE observations
    ADD COLUMN sender text NOT NULL DEFAULT '',
    DROP CONSTRAINT observations_pkey,
    ADD PRIMARY KEY (site_id, report_key, sender, code, sub_id);
ALTER TABLE appointments
    ADD COLUMN sender text NOT NULL DEFAULT '',
    DROP CONSTRAINT appointments_pkey,
    ADD PRIMARY KEY (site_id, appointment_key, sender);
