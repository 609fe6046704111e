-- Secrets of time-based codes, sealed by the house's vault: `key_id` names its key, and is null where there was none.
-- A code counts once: those of `last_step` and before are used up.
CREATE TABLE accounts_codes (
    account BYTEA NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    secret BYTEA NOT NULL CHECK (length(secret) BETWEEN 20 AND 64),
    key_id BYTEA CHECK (key_id IS NULL OR length(key_id) = 8),
    made_at BIGINT NOT NULL,
    confirmed_at BIGINT,
    last_step BIGINT NOT NULL
);

INSERT INTO accounts_codes (account, secret, key_id, made_at, confirmed_at, last_step)
    SELECT account, secret, NULL, made_at, confirmed_at, last_step FROM accounts_totp;

DROP TABLE accounts_totp;

-- The language that an account is written to and shown in; null where none was chosen.
ALTER TABLE accounts_accounts ADD COLUMN language TEXT;
