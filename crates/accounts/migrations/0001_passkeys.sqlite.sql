-- Public keys that customers sign in with. The id is the authenticator's; `public_key` is in the form of `webauthn`.
CREATE TABLE accounts_passkeys (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 1023),
    account BLOB NOT NULL REFERENCES accounts_accounts (id),
    name TEXT NOT NULL,
    algorithm INTEGER NOT NULL,
    public_key BLOB NOT NULL,
    sign_count INTEGER NOT NULL CHECK (sign_count >= 0),
    is_synced INTEGER NOT NULL CHECK (is_synced IN (0, 1)),
    transports TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT;

CREATE INDEX accounts_passkeys_of_account ON accounts_passkeys (account, made_at);

-- What challenges are made and known again with: one secret.
CREATE TABLE accounts_challenge_key (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    secret BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;

-- Challenges that were answered rightly, until they are too old to be answered again.
CREATE TABLE accounts_challenges_used (
    hash BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    ends_at INTEGER NOT NULL
) STRICT;

CREATE INDEX accounts_challenges_used_by_end ON accounts_challenges_used (ends_at);
