-- What confirming a quote led to, so that confirming it again leads to the same.
CREATE TABLE web_purchases (
    quote BYTEA NOT NULL PRIMARY KEY,
    account BYTEA NOT NULL,
    contract BYTEA NOT NULL UNIQUE,
    invoice BYTEA NOT NULL,
    made_at BIGINT NOT NULL
);
