-- Since when an account waits for its address to be confirmed; null when it is, or need not be.
ALTER TABLE accounts_accounts ADD COLUMN unconfirmed_since INTEGER;

-- Messages that no mail server has taken yet.
CREATE TABLE accounts_mail (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account BLOB NOT NULL REFERENCES accounts_accounts (id),
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    due_at INTEGER NOT NULL
) STRICT;

CREATE INDEX accounts_mail_by_due ON accounts_mail (due_at);
CREATE INDEX accounts_mail_of_account ON accounts_mail (account);

-- An address that is to be the account's: it must answer, and the time must come.
CREATE TABLE accounts_changes (
    account BLOB NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    value TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    confirmed INTEGER NOT NULL CHECK (confirmed IN (0, 1))
) STRICT;

CREATE INDEX accounts_changes_by_due ON accounts_changes (due_at);

-- Where an account's payouts may go, and from when on.
CREATE TABLE accounts_addresses (
    account BLOB NOT NULL REFERENCES accounts_accounts (id),
    asset TEXT NOT NULL,
    address TEXT NOT NULL,
    label TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    usable_at INTEGER NOT NULL,
    PRIMARY KEY (account, asset, address)
) STRICT;

-- Accounts whose payouts go to these alone, and until when.
CREATE TABLE accounts_book_only (
    account BLOB NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    since INTEGER NOT NULL,
    ends_at INTEGER
) STRICT;
