-- Public keys that customers sign in with. The id is the authenticator's; `public_key` is in the form of `webauthn`.
CREATE TABLE accounts_passkeys (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 1023),
    account BYTEA NOT NULL REFERENCES accounts_accounts (id),
    name TEXT NOT NULL,
    algorithm BIGINT NOT NULL,
    public_key BYTEA NOT NULL,
    sign_count BIGINT NOT NULL CHECK (sign_count >= 0),
    is_synced BIGINT NOT NULL CHECK (is_synced IN (0, 1)),
    transports TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE INDEX accounts_passkeys_of_account ON accounts_passkeys (account, made_at);

-- What challenges are made and known again with: one secret.
CREATE TABLE accounts_challenge_key (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    secret BYTEA NOT NULL CHECK (length(secret) = 32)
);

-- Challenges that were answered rightly, until they are too old to be answered again.
CREATE TABLE accounts_challenges_used (
    hash BYTEA NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    ends_at BIGINT NOT NULL
);

CREATE INDEX accounts_challenges_used_by_end ON accounts_challenges_used (ends_at);
