-- How many people a payout takes, by what its account had asked for in the same day.
ALTER TABLE treasury_payouts ADD COLUMN takes BIGINT NOT NULL DEFAULT 1;
CREATE INDEX treasury_payouts_by_state ON treasury_payouts (state, created_at);

-- When the service was last asked how a dispute stands.
ALTER TABLE treasury_disputes ADD COLUMN looked_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX treasury_disputes_due ON treasury_disputes (looked_at) WHERE state = 'open';

-- A transaction of ours that spends coins of another of ours, so that only one of the two confirms.
ALTER TABLE treasury_batches ADD COLUMN replaces BYTEA REFERENCES treasury_batches (id);
CREATE INDEX treasury_batches_by_replaced ON treasury_batches (replaces) WHERE replaces IS NOT NULL;

-- What a signer elsewhere is asked to sign: the forms of a transaction of ours, the first with number 0. Written
-- before anything leaves the house, and kept.
CREATE TABLE treasury_orders (
    batch BYTEA NOT NULL REFERENCES treasury_batches (id),
    form BIGINT NOT NULL,
    asset TEXT NOT NULL,
    plan BYTEA NOT NULL,
    fee BIGINT NOT NULL,
    operator_fee BIGINT NOT NULL,
    psbt BYTEA,
    state TEXT NOT NULL,
    ordered_at BIGINT NOT NULL,
    answered_at BIGINT,
    answer TEXT,
    PRIMARY KEY (batch, form)
);
CREATE INDEX treasury_orders_waiting ON treasury_orders (asset, ordered_at) WHERE state = 'waiting';
