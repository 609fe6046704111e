-- Account-based chains. What they share with the others (blocks, addresses, invoices, receipts,
-- payouts, and a batch for each transaction of ours) stands in the tables there are.

-- Wei below a whole minor unit that the house's addresses hold together.
CREATE TABLE treasury_account_chains (
    asset TEXT NOT NULL PRIMARY KEY,
    wei_below INTEGER NOT NULL
) STRICT;

-- What each address of ours holds, as the blocks connected say; wei, 32 bytes, big-endian.
CREATE TABLE treasury_account_balances (
    asset TEXT NOT NULL,
    address BLOB NOT NULL,
    keychain INTEGER NOT NULL,
    key_index INTEGER NOT NULL,
    wei BLOB NOT NULL,
    PRIMARY KEY (asset, address)
) STRICT;

-- What an address held before a block that touched it.
CREATE TABLE treasury_account_undo (
    asset TEXT NOT NULL,
    height INTEGER NOT NULL,
    address BLOB NOT NULL,
    wei BLOB NOT NULL,
    PRIMARY KEY (asset, height, address)
) STRICT;

-- The wei below before a block that changed them, and the whole minor units that they made up in it.
CREATE TABLE treasury_account_carries (
    asset TEXT NOT NULL,
    height INTEGER NOT NULL,
    below_before INTEGER NOT NULL,
    carried INTEGER NOT NULL,
    PRIMARY KEY (asset, height)
) STRICT;

-- What a block took from us beside payouts: fees of transactions that failed, and everything
-- spent with our keys outside this house (those with a sender).
CREATE TABLE treasury_account_costs (
    asset TEXT NOT NULL,
    height INTEGER NOT NULL,
    txid BLOB NOT NULL,
    minor INTEGER NOT NULL,
    sender BLOB,
    nonce INTEGER,
    PRIMARY KEY (asset, height, txid)
) STRICT;

-- The next nonce of each sender of ours. All below are used or stand in the table of holes.
CREATE TABLE treasury_account_nonces (
    asset TEXT NOT NULL,
    sender BLOB NOT NULL,
    next_nonce INTEGER NOT NULL,
    PRIMARY KEY (asset, sender)
) STRICT;

-- Nonces that were reserved and given up before anything was signed for them.
CREATE TABLE treasury_account_holes (
    asset TEXT NOT NULL,
    sender BLOB NOT NULL,
    nonce INTEGER NOT NULL,
    PRIMARY KEY (asset, sender, nonce)
) STRICT;

-- One transaction of ours as it was planned: its batch says what became of it. A nonce is one
-- transaction's for ever.
CREATE TABLE treasury_account_txs (
    batch BLOB NOT NULL PRIMARY KEY REFERENCES treasury_batches (id),
    asset TEXT NOT NULL,
    sender BLOB NOT NULL,
    keychain INTEGER NOT NULL,
    key_index INTEGER NOT NULL,
    nonce INTEGER NOT NULL,
    kind TEXT NOT NULL,
    recipient BLOB NOT NULL,
    gas_price INTEGER NOT NULL,
    wei BLOB NOT NULL,
    UNIQUE (asset, sender, nonce)
) STRICT;

-- The forms in which it was signed: the same nonce at rising prices. One of them confirms at most.
CREATE TABLE treasury_account_forms (
    asset TEXT NOT NULL,
    txid BLOB NOT NULL,
    batch BLOB NOT NULL REFERENCES treasury_batches (id),
    gas_price INTEGER NOT NULL,
    wei BLOB NOT NULL,
    signed_at INTEGER NOT NULL,
    PRIMARY KEY (asset, txid)
) STRICT;
CREATE INDEX treasury_account_forms_by_batch ON treasury_account_forms (batch, gas_price);
CREATE INDEX treasury_receipts_by_height ON treasury_receipts (asset, height);
