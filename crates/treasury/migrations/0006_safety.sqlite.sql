-- Spendings of our coins in the chain that nothing of ours explains: made with our keys by others, or by a
-- life of this house that an older backup knows nothing of. While one has no verdict no payout is signed.
CREATE TABLE treasury_strangers (
    asset TEXT NOT NULL,
    txid BLOB NOT NULL,
    -- None while a reorganisation has taken it away.
    height INTEGER,
    value INTEGER NOT NULL,
    form BLOB NOT NULL,
    verdict TEXT,
    decided_by TEXT,
    seen_at INTEGER NOT NULL,
    decided_at INTEGER,
    PRIMARY KEY (asset, txid)
) STRICT;
CREATE INDEX treasury_strangers_open ON treasury_strangers (asset) WHERE verdict IS NULL;

-- Coins of ours that the node said, after a start, are being spent by a transaction we do not know.
CREATE TABLE treasury_doubted_coins (
    asset TEXT NOT NULL,
    txid BLOB NOT NULL,
    vout INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (asset, txid, vout)
) STRICT;

-- The forms of a transaction of ours: each pays the same, at another fee, and only one can confirm.
CREATE TABLE treasury_forms (
    batch BLOB NOT NULL REFERENCES treasury_batches (id),
    txid BLOB NOT NULL,
    fee INTEGER NOT NULL,
    signed_at INTEGER NOT NULL,
    PRIMARY KEY (batch, txid)
) STRICT;

-- Transactions of ours that pay no customer: to the operator's cold address, or of small coins into one.
CREATE TABLE treasury_moves (
    batch BLOB NOT NULL PRIMARY KEY REFERENCES treasury_batches (id),
    asset TEXT NOT NULL,
    kind TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount >= 0),
    -- Where to, unless it stays with us.
    script BLOB
) STRICT;
