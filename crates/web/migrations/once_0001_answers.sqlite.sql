-- Requests that were sent with an Idempotency-Key, and what was answered.
CREATE TABLE web_once (
    account BLOB NOT NULL,
    request_key TEXT NOT NULL,
    -- Hash of what was asked.
    asked BLOB NOT NULL,
    begun_at INTEGER NOT NULL,
    -- Null while it is being worked on.
    status INTEGER,
    answer BLOB,
    -- 1 where only the token that it was asked with opens the answer.
    sealed INTEGER NOT NULL,
    PRIMARY KEY (account, request_key)
) STRICT;
CREATE INDEX web_once_begun ON web_once (begun_at);
