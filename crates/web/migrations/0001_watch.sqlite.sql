-- How often a part of the house was looked at within an hour, and how often it was well.
CREATE TABLE web_probes (
    part TEXT NOT NULL,
    hour INTEGER NOT NULL,
    good INTEGER NOT NULL CHECK (good >= 0),
    bad INTEGER NOT NULL CHECK (bad >= 0),
    PRIMARY KEY (part, hour)
) STRICT;

CREATE INDEX web_probes_by_hour ON web_probes (hour);

-- What the operator was told of. `open_key` is rule and subject while it lasts: each lasts once at a time.
CREATE TABLE web_alerts (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    open_key TEXT UNIQUE,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    reading INTEGER NOT NULL,
    worst INTEGER NOT NULL,
    seen_by BLOB,
    seen_at INTEGER
) STRICT;

CREATE INDEX web_alerts_by_time ON web_alerts (opened_at);

-- What the operator says to everybody.
CREATE TABLE web_bulletins (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    made_at INTEGER NOT NULL,
    ended_at INTEGER,
    title TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;

CREATE INDEX web_bulletins_by_time ON web_bulletins (made_at);

-- Messages to the operator's webhook that it has not taken.
CREATE TABLE web_hook_outbox (
    id TEXT NOT NULL PRIMARY KEY,
    body TEXT NOT NULL,
    tries INTEGER NOT NULL,
    due_at INTEGER NOT NULL
) STRICT;

CREATE INDEX web_hook_outbox_by_due ON web_hook_outbox (due_at);
