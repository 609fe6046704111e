-- From which network and with which program a session was opened, as it was told then.
ALTER TABLE accounts_sessions ADD COLUMN about TEXT NOT NULL DEFAULT '';

-- Secrets of time-based codes. A code counts once: those of `last_step` and before are used up.
CREATE TABLE accounts_totp (
    account BYTEA NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    secret BYTEA NOT NULL CHECK (length(secret) = 20),
    made_at BIGINT NOT NULL,
    confirmed_at BIGINT,
    last_step BIGINT NOT NULL
);

-- Codes for when the device with the secret is lost; each is removed when it is used.
CREATE TABLE accounts_recovery (
    account BYTEA NOT NULL REFERENCES accounts_accounts (id),
    code_hash BYTEA NOT NULL CHECK (length(code_hash) = 32),
    PRIMARY KEY (account, code_hash)
);

-- Keys for programs; of the token only its hash is kept.
CREATE TABLE accounts_keys (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account BYTEA NOT NULL REFERENCES accounts_accounts (id),
    name TEXT NOT NULL,
    token_hash BYTEA NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE INDEX accounts_keys_of_account ON accounts_keys (account, id);

-- Secrets that let their holder do one thing within a short time.
CREATE TABLE accounts_tickets (
    token_hash BYTEA NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    account BYTEA NOT NULL REFERENCES accounts_accounts (id),
    purpose TEXT NOT NULL,
    detail TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX accounts_tickets_of_account ON accounts_tickets (account, purpose);
CREATE INDEX accounts_tickets_by_expiry ON accounts_tickets (expires_at);
