-- Addresses of customers' programs that are told what happens. `place`: up to where the account's happenings have
-- been taken; `failing_since`: since when nothing was taken there; `rests_until`: not asked before.
CREATE TABLE web_webhooks (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account BYTEA NOT NULL,
    url TEXT NOT NULL,
    label TEXT NOT NULL,
    events TEXT NOT NULL,
    secret BYTEA NOT NULL,
    key_id BYTEA,
    old_secret BYTEA,
    old_key_id BYTEA,
    old_until BIGINT,
    made_at BIGINT NOT NULL,
    place TEXT NOT NULL,
    looked_at BIGINT NOT NULL,
    failures BIGINT NOT NULL CHECK (failures >= 0),
    failing_since BIGINT,
    rests_until BIGINT NOT NULL,
    ended_at BIGINT,
    ended_for TEXT
);

CREATE INDEX web_webhooks_of_account ON web_webhooks (account, made_at);
CREATE INDEX web_webhooks_by_look ON web_webhooks (looked_at);

-- Messages to them. `due_at` is null where nothing is to be done: it was taken, or given up.
CREATE TABLE web_webhook_messages (
    id TEXT NOT NULL PRIMARY KEY,
    webhook BYTEA NOT NULL REFERENCES web_webhooks (id),
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    round BIGINT NOT NULL CHECK (round >= 0),
    tries BIGINT NOT NULL CHECK (tries >= 0),
    due_at BIGINT,
    taken_at BIGINT
);

CREATE INDEX web_webhook_messages_of ON web_webhook_messages (webhook, made_at, id);
CREATE INDEX web_webhook_messages_by_due ON web_webhook_messages (due_at);
CREATE INDEX web_webhook_messages_by_time ON web_webhook_messages (made_at);

-- What came of each try.
CREATE TABLE web_webhook_attempts (
    message TEXT NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    status BIGINT,
    fault TEXT,
    took_ms BIGINT NOT NULL,
    PRIMARY KEY (message, number)
);
