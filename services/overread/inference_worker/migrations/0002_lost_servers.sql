-- How often the model server went away while it was asked for this job: a request that ends it must not go round for ever.
ALTER TABLE jobs ADD COLUMN lost_servers integer NOT NULL DEFAULT 0;
