-- The last entry's number and hash: one row, through which every new entry passes.
CREATE TABLE ledger_head (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- The journal. Numbers have no gaps; each hash covers the entry, its postings and the hash before.
CREATE TABLE ledger_entries (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    reason TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- Debits are positive, credits negative.
CREATE TABLE ledger_postings (
    seq INTEGER NOT NULL REFERENCES ledger_entries (seq),
    line INTEGER NOT NULL CHECK (line >= 0),
    account TEXT NOT NULL,
    asset TEXT NOT NULL,
    minor INTEGER NOT NULL CHECK (minor <> 0),
    PRIMARY KEY (seq, line)
) STRICT;

CREATE INDEX ledger_postings_of_account ON ledger_postings (account, asset, seq);

-- What the postings of each account come to, in the account's normal direction.
CREATE TABLE ledger_balances (
    account TEXT NOT NULL,
    asset TEXT NOT NULL,
    kind TEXT NOT NULL,
    minor INTEGER NOT NULL,
    PRIMARY KEY (account, asset)
) STRICT;

CREATE INDEX ledger_balances_of_kind ON ledger_balances (kind, asset, account);

-- A correction is a new entry.
CREATE TRIGGER ledger_entries_not_changed BEFORE UPDATE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;

CREATE TRIGGER ledger_entries_not_removed BEFORE DELETE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;

CREATE TRIGGER ledger_postings_not_changed BEFORE UPDATE ON ledger_postings
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;

CREATE TRIGGER ledger_postings_not_removed BEFORE DELETE ON ledger_postings
BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;
