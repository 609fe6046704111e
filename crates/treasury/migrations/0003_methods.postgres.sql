-- What came by a method other than our own addresses on a chain; one row a payment, for ever. The
-- external key is the method's own name for it: a bank entry's id, a card payment's, another
-- server's invoice, or ours for what is paid from the balance.
CREATE TABLE treasury_payments (
    id BYTEA NOT NULL PRIMARY KEY,
    method TEXT NOT NULL,
    external TEXT NOT NULL,
    asset TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    invoice BYTEA REFERENCES treasury_invoices (id),
    account BYTEA,
    credit TEXT NOT NULL,
    taken BIGINT NOT NULL CHECK (taken >= 0 AND taken <= amount),
    arrived_at BIGINT NOT NULL,
    UNIQUE (method, external)
);
CREATE INDEX treasury_payments_by_invoice ON treasury_payments (invoice);
CREATE INDEX treasury_payments_by_account ON treasury_payments (account, arrived_at);

-- What a method took back of a payment, by its own name for that.
CREATE TABLE treasury_takings (
    payment BYTEA NOT NULL REFERENCES treasury_payments (id),
    event TEXT NOT NULL,
    amount BIGINT NOT NULL,
    taken_at BIGINT NOT NULL,
    PRIMARY KEY (payment, event)
);

-- Bank statements that were read to their end, by the hash of the file.
CREATE TABLE treasury_bank_files (
    hash BYTEA NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    entries BIGINT NOT NULL,
    imported_at BIGINT NOT NULL
);

-- What stood in them of pay-ins: by the bank's own reference, if it gave one, and by content. The
-- number tells entries of one statement apart that are the same in all they say; the place is where in its statement an entry stood.
CREATE TABLE treasury_bank_entries (
    id BYTEA NOT NULL PRIMARY KEY,
    bank TEXT NOT NULL,
    statement TEXT NOT NULL,
    own_ref TEXT,
    content BYTEA NOT NULL,
    number BIGINT NOT NULL,
    place BIGINT NOT NULL,
    asset TEXT,
    amount BIGINT,
    booked_on TEXT NOT NULL,
    payer TEXT NOT NULL,
    payer_account TEXT NOT NULL,
    note TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    payment BYTEA REFERENCES treasury_payments (id),
    arrived_at BIGINT NOT NULL,
    decided_at BIGINT
);
CREATE UNIQUE INDEX treasury_bank_entries_by_ref ON treasury_bank_entries (bank, own_ref, content)
    WHERE own_ref IS NOT NULL;
CREATE UNIQUE INDEX treasury_bank_entries_by_content
    ON treasury_bank_entries (bank, content, statement, number) WHERE own_ref IS NULL;
CREATE INDEX treasury_bank_entries_alike ON treasury_bank_entries (bank, content);
CREATE INDEX treasury_bank_entries_waiting ON treasury_bank_entries (arrived_at)
    WHERE state = 'waiting';
