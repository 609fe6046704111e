-- How many blocks have ever been connected: part of every reason key, so that a block that is
-- disconnected and connected again is booked again.
CREATE TABLE treasury_chains (
    asset TEXT NOT NULL PRIMARY KEY,
    connections INTEGER NOT NULL
) STRICT;

-- The newest blocks of each chain, down to the reorganisation limit.
CREATE TABLE treasury_blocks (
    asset TEXT NOT NULL,
    height INTEGER NOT NULL,
    hash BLOB NOT NULL,
    connection INTEGER NOT NULL,
    PRIMARY KEY (asset, height)
) STRICT;

CREATE TABLE treasury_keychains (
    asset TEXT NOT NULL,
    keychain INTEGER NOT NULL,
    next_index INTEGER NOT NULL,
    PRIMARY KEY (asset, keychain)
) STRICT;

CREATE TABLE treasury_addresses (
    asset TEXT NOT NULL,
    script BLOB NOT NULL,
    keychain INTEGER NOT NULL,
    key_index INTEGER NOT NULL,
    PRIMARY KEY (asset, script),
    UNIQUE (asset, keychain, key_index)
) STRICT;

CREATE TABLE treasury_invoices (
    id BLOB NOT NULL PRIMARY KEY,
    account BLOB NOT NULL,
    asset TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    contract BLOB,
    address TEXT NOT NULL,
    key_index INTEGER NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    closed_at INTEGER,
    UNIQUE (asset, key_index)
) STRICT;
CREATE INDEX treasury_invoices_by_account ON treasury_invoices (account, created_at);
CREATE INDEX treasury_invoices_open ON treasury_invoices (asset, expires_at) WHERE closed_at IS NULL;

-- What came from outside to a script of ours; one row an output, for ever. A row without a height
-- was taken out of the chain by a reorganisation. It is credited, and the coin it made may be spent,
-- once the chain has reached its ripe height.
CREATE TABLE treasury_receipts (
    asset TEXT NOT NULL,
    txid BLOB NOT NULL,
    vout INTEGER NOT NULL,
    value INTEGER NOT NULL CHECK (value > 0),
    keychain INTEGER NOT NULL,
    invoice BLOB REFERENCES treasury_invoices (id),
    height INTEGER,
    ripe_height INTEGER,
    credit TEXT NOT NULL,
    credited INTEGER NOT NULL,
    credit_height INTEGER,
    arrival_lost INTEGER NOT NULL,
    credit_lost INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (asset, txid, vout)
) STRICT;
CREATE INDEX treasury_receipts_by_invoice ON treasury_receipts (invoice);
CREATE INDEX treasury_receipts_waiting ON treasury_receipts (asset, ripe_height)
    WHERE credit = 'none' AND height IS NOT NULL;
CREATE INDEX treasury_receipts_credited ON treasury_receipts (asset, credit_height);

-- Our coins. Spent ones stay: they say what a transaction of ours spent.
CREATE TABLE treasury_utxos (
    asset TEXT NOT NULL,
    txid BLOB NOT NULL,
    vout INTEGER NOT NULL,
    value INTEGER NOT NULL CHECK (value > 0),
    keychain INTEGER NOT NULL,
    key_index INTEGER NOT NULL,
    origin TEXT NOT NULL,
    height INTEGER NOT NULL,
    ripe_height INTEGER NOT NULL,
    spent_height INTEGER,
    spent_outside INTEGER NOT NULL,
    PRIMARY KEY (asset, txid, vout)
) STRICT;
CREATE INDEX treasury_utxos_unspent ON treasury_utxos (asset, value) WHERE spent_height IS NULL;
CREATE INDEX treasury_utxos_by_height ON treasury_utxos (asset, height);
CREATE INDEX treasury_utxos_by_spent_height ON treasury_utxos (asset, spent_height);

-- One transaction of ours, paying some payouts.
CREATE TABLE treasury_batches (
    id BLOB NOT NULL PRIMARY KEY,
    asset TEXT NOT NULL,
    state TEXT NOT NULL,
    unsigned_tx BLOB NOT NULL,
    signed_tx BLOB,
    txid BLOB,
    fee INTEGER NOT NULL,
    operator_fee INTEGER NOT NULL,
    height INTEGER,
    conflict_height INTEGER,
    created_at INTEGER NOT NULL,
    last_answer TEXT
) STRICT;
CREATE INDEX treasury_batches_open ON treasury_batches (asset, created_at)
    WHERE state IN ('funded', 'signed', 'broadcast');
CREATE INDEX treasury_batches_by_height ON treasury_batches (asset, height);

-- Which coin is spent by which of our transactions; a coin by one only.
CREATE TABLE treasury_reservations (
    asset TEXT NOT NULL,
    txid BLOB NOT NULL,
    vout INTEGER NOT NULL,
    value INTEGER NOT NULL,
    keychain INTEGER NOT NULL,
    key_index INTEGER NOT NULL,
    batch BLOB NOT NULL REFERENCES treasury_batches (id),
    PRIMARY KEY (asset, txid, vout)
) STRICT;
CREATE INDEX treasury_reservations_by_batch ON treasury_reservations (batch);

CREATE TABLE treasury_payouts (
    id BLOB NOT NULL PRIMARY KEY,
    account BLOB NOT NULL,
    asset TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    address TEXT NOT NULL,
    script BLOB NOT NULL,
    rate_max INTEGER NOT NULL,
    fee_max INTEGER NOT NULL,
    fee INTEGER,
    state TEXT NOT NULL,
    reason TEXT,
    attempt INTEGER NOT NULL,
    batch BLOB REFERENCES treasury_batches (id),
    request_key TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (account, request_key)
) STRICT;
CREATE INDEX treasury_payouts_by_account ON treasury_payouts (account, created_at);
CREATE INDEX treasury_payouts_by_batch ON treasury_payouts (batch);
CREATE INDEX treasury_payouts_waiting ON treasury_payouts (asset, created_at)
    WHERE state IN ('requested', 'approved');
