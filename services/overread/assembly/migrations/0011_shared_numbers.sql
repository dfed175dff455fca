-- Numbers that ADT lists with so many patients that they name none: known once, they tie no statements together.
CREATE TABLE shared_numbers (
    site_id text NOT NULL,
    key text NOT NULL,
    PRIMARY KEY (site_id, key)
);
