-- Secrets of time-based codes, sealed by the house's vault: `key_id` names its key, and is null where there was none.
-- A code counts once: those of `last_step` and before are used up.
CREATE TABLE accounts_codes (
    account BLOB NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    secret BLOB NOT NULL CHECK (length(secret) BETWEEN 20 AND 64),
    key_id BLOB CHECK (key_id IS NULL OR length(key_id) = 8),
    made_at INTEGER NOT NULL,
    confirmed_at INTEGER,
    last_step INTEGER NOT NULL
) STRICT;

INSERT INTO accounts_codes (account, secret, key_id, made_at, confirmed_at, last_step)
    SELECT account, secret, NULL, made_at, confirmed_at, last_step FROM accounts_totp;

DROP TABLE accounts_totp;

-- The language that an account is written to and shown in; null where none was chosen.
ALTER TABLE accounts_accounts ADD COLUMN language TEXT;
