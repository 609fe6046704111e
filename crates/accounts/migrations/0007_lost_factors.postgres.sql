-- Second factors that are lost and are to be taken off: when that was asked for, when it is done, when it was last
-- told, when it was done, and from when on payouts go again.
CREATE TABLE accounts_lost_factors (
    account BYTEA NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    asked_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    told_at BIGINT NOT NULL,
    done_at BIGINT,
    free_at BIGINT NOT NULL
);
