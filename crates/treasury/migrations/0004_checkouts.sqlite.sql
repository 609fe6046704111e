-- A place at another service where a customer pays an invoice. What came by it so far is counted in
-- minor units of the currency that was asked for.
CREATE TABLE treasury_checkouts (
    method TEXT NOT NULL,
    external TEXT NOT NULL,
    invoice BLOB NOT NULL REFERENCES treasury_invoices (id),
    attempt INTEGER NOT NULL,
    url TEXT NOT NULL,
    state TEXT NOT NULL,
    came INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    look_at INTEGER NOT NULL,
    PRIMARY KEY (method, external),
    UNIQUE (method, invoice, attempt)
) STRICT;
CREATE INDEX treasury_checkouts_open ON treasury_checkouts (look_at) WHERE state = 'open';

-- What other services have told of, by their own ids: each is heard once.
CREATE TABLE treasury_heard (
    method TEXT NOT NULL,
    event TEXT NOT NULL,
    heard_at INTEGER NOT NULL,
    PRIMARY KEY (method, event)
) STRICT;
CREATE INDEX treasury_heard_by_time ON treasury_heard (heard_at);

-- Payments that their payer has disputed. While one is open, nothing leaves the account.
CREATE TABLE treasury_disputes (
    external TEXT NOT NULL PRIMARY KEY,
    payment BLOB NOT NULL REFERENCES treasury_payments (id),
    account BLOB NOT NULL,
    asset TEXT NOT NULL,
    amount INTEGER NOT NULL,
    state TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER
) STRICT;
CREATE INDEX treasury_disputes_open ON treasury_disputes (account) WHERE state = 'open';

-- Payments given back by the house: asked of the service until it has answered.
CREATE TABLE treasury_refunds (
    id BLOB NOT NULL PRIMARY KEY,
    payment BLOB NOT NULL REFERENCES treasury_payments (id),
    amount INTEGER NOT NULL CHECK (amount > 0),
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_at INTEGER NOT NULL
) STRICT;
CREATE INDEX treasury_refunds_asked ON treasury_refunds (asked_at) WHERE state = 'asked';
