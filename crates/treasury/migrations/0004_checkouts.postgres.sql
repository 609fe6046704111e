-- A place at another service where a customer pays an invoice. What came by it so far is counted in
-- minor units of the currency that was asked for.
CREATE TABLE treasury_checkouts (
    method TEXT NOT NULL,
    external TEXT NOT NULL,
    invoice BYTEA NOT NULL REFERENCES treasury_invoices (id),
    attempt BIGINT NOT NULL,
    url TEXT NOT NULL,
    state TEXT NOT NULL,
    came BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    look_at BIGINT NOT NULL,
    PRIMARY KEY (method, external),
    UNIQUE (method, invoice, attempt)
);
CREATE INDEX treasury_checkouts_open ON treasury_checkouts (look_at) WHERE state = 'open';

-- What other services have told of, by their own ids: each is heard once.
CREATE TABLE treasury_heard (
    method TEXT NOT NULL,
    event TEXT NOT NULL,
    heard_at BIGINT NOT NULL,
    PRIMARY KEY (method, event)
);
CREATE INDEX treasury_heard_by_time ON treasury_heard (heard_at);

-- Payments that their payer has disputed. While one is open, nothing leaves the account.
CREATE TABLE treasury_disputes (
    external TEXT NOT NULL PRIMARY KEY,
    payment BYTEA NOT NULL REFERENCES treasury_payments (id),
    account BYTEA NOT NULL,
    asset TEXT NOT NULL,
    amount BIGINT NOT NULL,
    state TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT
);
CREATE INDEX treasury_disputes_open ON treasury_disputes (account) WHERE state = 'open';

-- Payments given back by the house: asked of the service until it has answered.
CREATE TABLE treasury_refunds (
    id BYTEA NOT NULL PRIMARY KEY,
    payment BYTEA NOT NULL REFERENCES treasury_payments (id),
    amount BIGINT NOT NULL CHECK (amount > 0),
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    asked_at BIGINT NOT NULL
);
CREATE INDEX treasury_refunds_asked ON treasury_refunds (asked_at) WHERE state = 'asked';
