-- Account-based chains. What they share with the others (blocks, addresses, invoices, receipts,
-- payouts, and a batch for each transaction of ours) stands in the tables there are.

-- Wei below a whole minor unit that the house's addresses hold together.
CREATE TABLE treasury_account_chains (
    asset TEXT NOT NULL PRIMARY KEY,
    wei_below BIGINT NOT NULL
);

-- What each address of ours holds, as the blocks connected say; wei, 32 bytes, big-endian.
CREATE TABLE treasury_account_balances (
    asset TEXT NOT NULL,
    address BYTEA NOT NULL,
    keychain BIGINT NOT NULL,
    key_index BIGINT NOT NULL,
    wei BYTEA NOT NULL,
    PRIMARY KEY (asset, address)
);

-- What an address held before a block that touched it.
CREATE TABLE treasury_account_undo (
    asset TEXT NOT NULL,
    height BIGINT NOT NULL,
    address BYTEA NOT NULL,
    wei BYTEA NOT NULL,
    PRIMARY KEY (asset, height, address)
);

-- The wei below before a block that changed them, and the whole minor units that they made up in it.
CREATE TABLE treasury_account_carries (
    asset TEXT NOT NULL,
    height BIGINT NOT NULL,
    below_before BIGINT NOT NULL,
    carried BIGINT NOT NULL,
    PRIMARY KEY (asset, height)
);

-- What a block took from us beside payouts: fees of transactions that failed, and everything
-- spent with our keys outside this house (those with a sender).
CREATE TABLE treasury_account_costs (
    asset TEXT NOT NULL,
    height BIGINT NOT NULL,
    txid BYTEA NOT NULL,
    minor BIGINT NOT NULL,
    sender BYTEA,
    nonce BIGINT,
    PRIMARY KEY (asset, height, txid)
);

-- The next nonce of each sender of ours. All below are used or stand in the table of holes.
CREATE TABLE treasury_account_nonces (
    asset TEXT NOT NULL,
    sender BYTEA NOT NULL,
    next_nonce BIGINT NOT NULL,
    PRIMARY KEY (asset, sender)
);

-- Nonces that were reserved and given up before anything was signed for them.
CREATE TABLE treasury_account_holes (
    asset TEXT NOT NULL,
    sender BYTEA NOT NULL,
    nonce BIGINT NOT NULL,
    PRIMARY KEY (asset, sender, nonce)
);

-- One transaction of ours as it was planned: its batch says what became of it. A nonce is one
-- transaction's for ever.
CREATE TABLE treasury_account_txs (
    batch BYTEA NOT NULL PRIMARY KEY REFERENCES treasury_batches (id),
    asset TEXT NOT NULL,
    sender BYTEA NOT NULL,
    keychain BIGINT NOT NULL,
    key_index BIGINT NOT NULL,
    nonce BIGINT NOT NULL,
    kind TEXT NOT NULL,
    recipient BYTEA NOT NULL,
    gas_price BIGINT NOT NULL,
    wei BYTEA NOT NULL,
    UNIQUE (asset, sender, nonce)
);

-- The forms in which it was signed: the same nonce at rising prices. One of them confirms at most.
CREATE TABLE treasury_account_forms (
    asset TEXT NOT NULL,
    txid BYTEA NOT NULL,
    batch BYTEA NOT NULL REFERENCES treasury_batches (id),
    gas_price BIGINT NOT NULL,
    wei BYTEA NOT NULL,
    signed_at BIGINT NOT NULL,
    PRIMARY KEY (asset, txid)
);
CREATE INDEX treasury_account_forms_by_batch ON treasury_account_forms (batch, gas_price);
CREATE INDEX treasury_receipts_by_height ON treasury_receipts (asset, height);
