-- What a service has booked on the account that we have there, by its own ids: what it came to, what it took for it,
-- in what currency and amount the customer paid where that is another, what it is about (a payment's name there) and
-- the invoice that the service has with it. Read first, booked when all older ones are read.
CREATE TABLE treasury_turnover (
    method TEXT NOT NULL,
    external TEXT NOT NULL,
    kind TEXT NOT NULL,
    about TEXT,
    invoice BYTEA,
    asset TEXT NOT NULL,
    amount BIGINT NOT NULL,
    fee BIGINT NOT NULL,
    price_asset TEXT,
    price BIGINT,
    made_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (method, external)
);
CREATE INDEX treasury_turnover_unbooked ON treasury_turnover (made_at) WHERE state = 'read';
CREATE INDEX treasury_turnover_about ON treasury_turnover (method, about);

-- Up to when a service's account is read without a gap.
CREATE TABLE treasury_turnover_readings (
    method TEXT NOT NULL PRIMARY KEY,
    read_until BIGINT NOT NULL
);

-- What bank statements say that the account had before and after; what the books had at the bank, and will have of what
-- waited, when the first of an account's was given, before its entries; how much of that stood in this one; and
-- whether the comparison may begin with it (not where all of it was in the books by then).
CREATE TABLE treasury_bank_statements (
    bank TEXT NOT NULL,
    statement TEXT NOT NULL,
    asset TEXT NOT NULL,
    opening BIGINT NOT NULL,
    opened_on TEXT NOT NULL,
    closing BIGINT NOT NULL,
    closed_on TEXT NOT NULL,
    books BIGINT NOT NULL,
    read_at BIGINT NOT NULL,
    known BIGINT NOT NULL,
    may_begin BIGINT NOT NULL,
    PRIMARY KEY (bank, statement, closed_on)
);
CREATE INDEX treasury_bank_statements_by_day ON treasury_bank_statements (bank, asset, closed_on);

-- Entries that were taken before the first such statement, until one says them.
ALTER TABLE treasury_bank_entries ADD COLUMN at_start BIGINT NOT NULL DEFAULT 0;
-- Until now what was sent back left the bank in the books at once, and its debit was never taken.
UPDATE treasury_bank_entries SET state = 'sent-back-at-once' WHERE state = 'sent-back';
