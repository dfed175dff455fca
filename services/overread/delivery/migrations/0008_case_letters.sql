-- What was set aside of cases.changed: until it is taken again, or a later event tells the whole case anew, the
-- projection of the case is not what the topic says. A case that could not be told from the record's key is any case of
-- the partition.
CREATE TABLE case_letters (
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    case_id uuid,
    PRIMARY KEY (partition, record_offset)
);
