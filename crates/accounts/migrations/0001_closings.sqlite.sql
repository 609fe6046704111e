-- Accounts whose owners want them closed. `sealed_at`: nobody is let in any more; `closed_at`: what was personal is
-- erased, and the row says when.
CREATE TABLE accounts_closings (
    account BLOB NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    asked_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    sealed_at INTEGER,
    closed_at INTEGER
) STRICT;

CREATE INDEX accounts_closings_by_due ON accounts_closings (due_at);
