-- Who has an account. Names and addresses are in lower case.
CREATE TABLE accounts_accounts (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE,
    email TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX accounts_accounts_by_time ON accounts_accounts (created_at);

-- Who is signed in; of the token only its hash is kept.
CREATE TABLE accounts_sessions (
    token_hash BLOB NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    account BLOB NOT NULL REFERENCES accounts_accounts (id),
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX accounts_sessions_of_account ON accounts_sessions (account, seen_at);
CREATE INDEX accounts_sessions_by_expiry ON accounts_sessions (expires_at);

-- When the attempts to sign in as a subject will have been worked off.
CREATE TABLE accounts_attempts (
    subject BLOB NOT NULL PRIMARY KEY,
    worked_off_at INTEGER NOT NULL
) STRICT;

-- What was done to accounts, by whom and when.
CREATE TABLE accounts_audit (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    at INTEGER NOT NULL,
    account BLOB,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX accounts_audit_of_account ON accounts_audit (account, at);
CREATE INDEX accounts_audit_by_time ON accounts_audit (at);
