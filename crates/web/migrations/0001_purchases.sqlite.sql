-- What confirming a quote led to, so that confirming it again leads to the same.
CREATE TABLE web_purchases (
    quote BLOB NOT NULL PRIMARY KEY,
    account BLOB NOT NULL,
    contract BLOB NOT NULL UNIQUE,
    invoice BLOB NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;
