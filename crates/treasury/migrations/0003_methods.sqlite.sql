-- What came by a method other than our own addresses on a chain; one row a payment, for ever. The
-- external key is the method's own name for it: a bank entry's id, a card payment's, another
-- server's invoice, or ours for what is paid from the balance.
CREATE TABLE treasury_payments (
    id BLOB NOT NULL PRIMARY KEY,
    method TEXT NOT NULL,
    external TEXT NOT NULL,
    asset TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    invoice BLOB REFERENCES treasury_invoices (id),
    account BLOB,
    credit TEXT NOT NULL,
    taken INTEGER NOT NULL CHECK (taken >= 0 AND taken <= amount),
    arrived_at INTEGER NOT NULL,
    UNIQUE (method, external)
) STRICT;
CREATE INDEX treasury_payments_by_invoice ON treasury_payments (invoice);
CREATE INDEX treasury_payments_by_account ON treasury_payments (account, arrived_at);

-- What a method took back of a payment, by its own name for that.
CREATE TABLE treasury_takings (
    payment BLOB NOT NULL REFERENCES treasury_payments (id),
    event TEXT NOT NULL,
    amount INTEGER NOT NULL,
    taken_at INTEGER NOT NULL,
    PRIMARY KEY (payment, event)
) STRICT;

-- Bank statements that were read to their end, by the hash of the file.
CREATE TABLE treasury_bank_files (
    hash BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    entries INTEGER NOT NULL,
    imported_at INTEGER NOT NULL
) STRICT;

-- What stood in them of pay-ins: by the bank's own reference, if it gave one, and by content. The
-- number tells entries of one statement apart that are the same in all they say; the place is where in its statement an entry stood.
CREATE TABLE treasury_bank_entries (
    id BLOB NOT NULL PRIMARY KEY,
    bank TEXT NOT NULL,
    statement TEXT NOT NULL,
    own_ref TEXT,
    content BLOB NOT NULL,
    number INTEGER NOT NULL,
    place INTEGER NOT NULL,
    asset TEXT,
    amount INTEGER,
    booked_on TEXT NOT NULL,
    payer TEXT NOT NULL,
    payer_account TEXT NOT NULL,
    note TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    payment BLOB REFERENCES treasury_payments (id),
    arrived_at INTEGER NOT NULL,
    decided_at INTEGER
) STRICT;
CREATE UNIQUE INDEX treasury_bank_entries_by_ref ON treasury_bank_entries (bank, own_ref, content)
    WHERE own_ref IS NOT NULL;
CREATE UNIQUE INDEX treasury_bank_entries_by_content
    ON treasury_bank_entries (bank, content, statement, number) WHERE own_ref IS NULL;
CREATE INDEX treasury_bank_entries_alike ON treasury_bank_entries (bank, content);
CREATE INDEX treasury_bank_entries_waiting ON treasury_bank_entries (arrived_at)
    WHERE state = 'waiting';
