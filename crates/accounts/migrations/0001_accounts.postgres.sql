-- Who has an account. Names and addresses are in lower case.
CREATE TABLE accounts_accounts (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX accounts_accounts_by_time ON accounts_accounts (created_at);

-- Who is signed in; of the token only its hash is kept.
CREATE TABLE accounts_sessions (
    token_hash BYTEA NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    account BYTEA NOT NULL REFERENCES accounts_accounts (id),
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX accounts_sessions_of_account ON accounts_sessions (account, seen_at);
CREATE INDEX accounts_sessions_by_expiry ON accounts_sessions (expires_at);

-- When the attempts to sign in as a subject will have been worked off.
CREATE TABLE accounts_attempts (
    subject BYTEA NOT NULL PRIMARY KEY,
    worked_off_at BIGINT NOT NULL
);

-- What was done to accounts, by whom and when.
CREATE TABLE accounts_audit (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    at BIGINT NOT NULL,
    account BYTEA,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE INDEX accounts_audit_of_account ON accounts_audit (account, at);
CREATE INDEX accounts_audit_by_time ON accounts_audit (at);
