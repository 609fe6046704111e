-- Since when an account waits for its address to be confirmed; null when it is, or need not be.
ALTER TABLE accounts_accounts ADD COLUMN unconfirmed_since BIGINT;

-- Messages that no mail server has taken yet.
CREATE TABLE accounts_mail (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account BYTEA NOT NULL REFERENCES accounts_accounts (id),
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    due_at BIGINT NOT NULL
);

CREATE INDEX accounts_mail_by_due ON accounts_mail (due_at);
CREATE INDEX accounts_mail_of_account ON accounts_mail (account);

-- An address that is to be the account's: it must answer, and the time must come.
CREATE TABLE accounts_changes (
    account BYTEA NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    value TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    confirmed BIGINT NOT NULL CHECK (confirmed IN (0, 1))
);

CREATE INDEX accounts_changes_by_due ON accounts_changes (due_at);

-- Where an account's payouts may go, and from when on.
CREATE TABLE accounts_addresses (
    account BYTEA NOT NULL REFERENCES accounts_accounts (id),
    asset TEXT NOT NULL,
    address TEXT NOT NULL,
    label TEXT NOT NULL,
    added_at BIGINT NOT NULL,
    usable_at BIGINT NOT NULL,
    PRIMARY KEY (account, asset, address)
);

-- Accounts whose payouts go to these alone, and until when.
CREATE TABLE accounts_book_only (
    account BYTEA NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    since BIGINT NOT NULL,
    ends_at BIGINT
);
