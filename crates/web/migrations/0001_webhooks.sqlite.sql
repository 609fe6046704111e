-- Addresses of customers' programs that are told what happens. `place`: up to where the account's happenings have
-- been taken; `failing_since`: since when nothing was taken there; `rests_until`: not asked before.
CREATE TABLE web_webhooks (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account BLOB NOT NULL,
    url TEXT NOT NULL,
    label TEXT NOT NULL,
    events TEXT NOT NULL,
    secret BLOB NOT NULL,
    key_id BLOB,
    old_secret BLOB,
    old_key_id BLOB,
    old_until INTEGER,
    made_at INTEGER NOT NULL,
    place TEXT NOT NULL,
    looked_at INTEGER NOT NULL,
    failures INTEGER NOT NULL CHECK (failures >= 0),
    failing_since INTEGER,
    rests_until INTEGER NOT NULL,
    ended_at INTEGER,
    ended_for TEXT
) STRICT;

CREATE INDEX web_webhooks_of_account ON web_webhooks (account, made_at);
CREATE INDEX web_webhooks_by_look ON web_webhooks (looked_at);

-- Messages to them. `due_at` is null where nothing is to be done: it was taken, or given up.
CREATE TABLE web_webhook_messages (
    id TEXT NOT NULL PRIMARY KEY,
    webhook BLOB NOT NULL REFERENCES web_webhooks (id),
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    round INTEGER NOT NULL CHECK (round >= 0),
    tries INTEGER NOT NULL CHECK (tries >= 0),
    due_at INTEGER,
    taken_at INTEGER
) STRICT;

CREATE INDEX web_webhook_messages_of ON web_webhook_messages (webhook, made_at, id);
CREATE INDEX web_webhook_messages_by_due ON web_webhook_messages (due_at);
CREATE INDEX web_webhook_messages_by_time ON web_webhook_messages (made_at);

-- What came of each try.
CREATE TABLE web_webhook_attempts (
    message TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    status INTEGER,
    fault TEXT,
    took_ms INTEGER NOT NULL,
    PRIMARY KEY (message, number)
) STRICT;
