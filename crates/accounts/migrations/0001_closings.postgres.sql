-- Accounts whose owners want them closed. `sealed_at`: nobody is let in any more; `closed_at`: what was personal is
-- erased, and the row says when.
CREATE TABLE accounts_closings (
    account BYTEA NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    asked_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    sealed_at BIGINT,
    closed_at BIGINT
);

CREATE INDEX accounts_closings_by_due ON accounts_closings (due_at);
