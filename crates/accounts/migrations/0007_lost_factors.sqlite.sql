-- Second factors that are lost and are to be taken off: when that was asked for, when it is done, when it was last
-- told, when it was done, and from when on payouts go again.
CREATE TABLE accounts_lost_factors (
    account BLOB NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    asked_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    told_at INTEGER NOT NULL,
    done_at INTEGER,
    free_at INTEGER NOT NULL
) STRICT;
