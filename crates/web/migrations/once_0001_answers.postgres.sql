-- Requests that were sent with an Idempotency-Key, and what was answered.
CREATE TABLE web_once (
    account BYTEA NOT NULL,
    request_key TEXT NOT NULL,
    -- Hash of what was asked.
    asked BYTEA NOT NULL,
    begun_at BIGINT NOT NULL,
    -- Null while it is being worked on.
    status BIGINT,
    answer BYTEA,
    -- 1 where only the token that it was asked with opens the answer.
    sealed BIGINT NOT NULL,
    PRIMARY KEY (account, request_key)
);
CREATE INDEX web_once_begun ON web_once (begun_at);
