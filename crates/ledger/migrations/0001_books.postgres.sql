-- The last entry's number and hash: one row, through which every new entry passes.
CREATE TABLE ledger_head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    seq BIGINT NOT NULL CHECK (seq >= 0),
    hash BYTEA NOT NULL CHECK (length(hash) = 32)
);

-- The journal. Numbers have no gaps; each hash covers the entry, its postings and the hash before.
CREATE TABLE ledger_entries (
    seq BIGINT NOT NULL PRIMARY KEY CHECK (seq > 0),
    reason TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32)
);

-- Debits are positive, credits negative.
CREATE TABLE ledger_postings (
    seq BIGINT NOT NULL REFERENCES ledger_entries (seq),
    line BIGINT NOT NULL CHECK (line >= 0),
    account TEXT NOT NULL,
    asset TEXT NOT NULL,
    minor BIGINT NOT NULL CHECK (minor <> 0),
    PRIMARY KEY (seq, line)
);

CREATE INDEX ledger_postings_of_account ON ledger_postings (account, asset, seq);

-- What the postings of each account come to, in the account's normal direction.
CREATE TABLE ledger_balances (
    account TEXT NOT NULL,
    asset TEXT NOT NULL,
    kind TEXT NOT NULL,
    minor BIGINT NOT NULL,
    PRIMARY KEY (account, asset)
);

CREATE INDEX ledger_balances_of_kind ON ledger_balances (kind, asset, account);

-- A correction is a new entry.
CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the journal is append-only';
END
$$;

CREATE TRIGGER ledger_entries_not_changed BEFORE UPDATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();

CREATE TRIGGER ledger_entries_not_removed BEFORE DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();

CREATE TRIGGER ledger_postings_not_changed BEFORE UPDATE ON ledger_postings
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();

CREATE TRIGGER ledger_postings_not_removed BEFORE DELETE OR TRUNCATE ON ledger_postings
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
