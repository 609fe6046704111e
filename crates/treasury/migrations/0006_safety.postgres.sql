-- Spendings of our coins in the chain that nothing of ours explains: made with our keys by others, or by a
-- life of this house that an older backup knows nothing of. While one has no verdict no payout is signed.
CREATE TABLE treasury_strangers (
    asset TEXT NOT NULL,
    txid BYTEA NOT NULL,
    -- None while a reorganisation has taken it away.
    height BIGINT,
    value BIGINT NOT NULL,
    form BYTEA NOT NULL,
    verdict TEXT,
    decided_by TEXT,
    seen_at BIGINT NOT NULL,
    decided_at BIGINT,
    PRIMARY KEY (asset, txid)
);
CREATE INDEX treasury_strangers_open ON treasury_strangers (asset) WHERE verdict IS NULL;

-- Coins of ours that the node said, after a start, are being spent by a transaction we do not know.
CREATE TABLE treasury_doubted_coins (
    asset TEXT NOT NULL,
    txid BYTEA NOT NULL,
    vout BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (asset, txid, vout)
);

-- The forms of a transaction of ours: each pays the same, at another fee, and only one can confirm.
CREATE TABLE treasury_forms (
    batch BYTEA NOT NULL REFERENCES treasury_batches (id),
    txid BYTEA NOT NULL,
    fee BIGINT NOT NULL,
    signed_at BIGINT NOT NULL,
    PRIMARY KEY (batch, txid)
);

-- Transactions of ours that pay no customer: to the operator's cold address, or of small coins into one.
CREATE TABLE treasury_moves (
    batch BYTEA NOT NULL PRIMARY KEY REFERENCES treasury_batches (id),
    asset TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount >= 0),
    -- Where to, unless it stays with us.
    script BYTEA
);
