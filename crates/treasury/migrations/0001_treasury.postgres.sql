-- How many blocks have ever been connected: part of every reason key, so that a block that is
-- disconnected and connected again is booked again.
CREATE TABLE treasury_chains (
    asset TEXT NOT NULL PRIMARY KEY,
    connections BIGINT NOT NULL
);

-- The newest blocks of each chain, down to the reorganisation limit.
CREATE TABLE treasury_blocks (
    asset TEXT NOT NULL,
    height BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    connection BIGINT NOT NULL,
    PRIMARY KEY (asset, height)
);

CREATE TABLE treasury_keychains (
    asset TEXT NOT NULL,
    keychain BIGINT NOT NULL,
    next_index BIGINT NOT NULL,
    PRIMARY KEY (asset, keychain)
);

CREATE TABLE treasury_addresses (
    asset TEXT NOT NULL,
    script BYTEA NOT NULL,
    keychain BIGINT NOT NULL,
    key_index BIGINT NOT NULL,
    PRIMARY KEY (asset, script),
    UNIQUE (asset, keychain, key_index)
);

CREATE TABLE treasury_invoices (
    id BYTEA NOT NULL PRIMARY KEY,
    account BYTEA NOT NULL,
    asset TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    contract BYTEA,
    address TEXT NOT NULL,
    key_index BIGINT NOT NULL,
    state TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    closed_at BIGINT,
    UNIQUE (asset, key_index)
);
CREATE INDEX treasury_invoices_by_account ON treasury_invoices (account, created_at);
CREATE INDEX treasury_invoices_open ON treasury_invoices (asset, expires_at) WHERE closed_at IS NULL;

-- What came from outside to a script of ours; one row an output, for ever. A row without a height
-- was taken out of the chain by a reorganisation. It is credited, and the coin it made may be spent,
-- once the chain has reached its ripe height.
CREATE TABLE treasury_receipts (
    asset TEXT NOT NULL,
    txid BYTEA NOT NULL,
    vout BIGINT NOT NULL,
    value BIGINT NOT NULL CHECK (value > 0),
    keychain BIGINT NOT NULL,
    invoice BYTEA REFERENCES treasury_invoices (id),
    height BIGINT,
    ripe_height BIGINT,
    credit TEXT NOT NULL,
    credited BIGINT NOT NULL,
    credit_height BIGINT,
    arrival_lost BIGINT NOT NULL,
    credit_lost BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (asset, txid, vout)
);
CREATE INDEX treasury_receipts_by_invoice ON treasury_receipts (invoice);
CREATE INDEX treasury_receipts_waiting ON treasury_receipts (asset, ripe_height)
    WHERE credit = 'none' AND height IS NOT NULL;
CREATE INDEX treasury_receipts_credited ON treasury_receipts (asset, credit_height);

-- Our coins. Spent ones stay: they say what a transaction of ours spent.
CREATE TABLE treasury_utxos (
    asset TEXT NOT NULL,
    txid BYTEA NOT NULL,
    vout BIGINT NOT NULL,
    value BIGINT NOT NULL CHECK (value > 0),
    keychain BIGINT NOT NULL,
    key_index BIGINT NOT NULL,
    origin TEXT NOT NULL,
    height BIGINT NOT NULL,
    ripe_height BIGINT NOT NULL,
    spent_height BIGINT,
    spent_outside BIGINT NOT NULL,
    PRIMARY KEY (asset, txid, vout)
);
CREATE INDEX treasury_utxos_unspent ON treasury_utxos (asset, value) WHERE spent_height IS NULL;
CREATE INDEX treasury_utxos_by_height ON treasury_utxos (asset, height);
CREATE INDEX treasury_utxos_by_spent_height ON treasury_utxos (asset, spent_height);

-- One transaction of ours, paying some payouts.
CREATE TABLE treasury_batches (
    id BYTEA NOT NULL PRIMARY KEY,
    asset TEXT NOT NULL,
    state TEXT NOT NULL,
    unsigned_tx BYTEA NOT NULL,
    signed_tx BYTEA,
    txid BYTEA,
    fee BIGINT NOT NULL,
    operator_fee BIGINT NOT NULL,
    height BIGINT,
    conflict_height BIGINT,
    created_at BIGINT NOT NULL,
    last_answer TEXT
);
CREATE INDEX treasury_batches_open ON treasury_batches (asset, created_at)
    WHERE state IN ('funded', 'signed', 'broadcast');
CREATE INDEX treasury_batches_by_height ON treasury_batches (asset, height);

-- Which coin is spent by which of our transactions; a coin by one only.
CREATE TABLE treasury_reservations (
    asset TEXT NOT NULL,
    txid BYTEA NOT NULL,
    vout BIGINT NOT NULL,
    value BIGINT NOT NULL,
    keychain BIGINT NOT NULL,
    key_index BIGINT NOT NULL,
    batch BYTEA NOT NULL REFERENCES treasury_batches (id),
    PRIMARY KEY (asset, txid, vout)
);
CREATE INDEX treasury_reservations_by_batch ON treasury_reservations (batch);

CREATE TABLE treasury_payouts (
    id BYTEA NOT NULL PRIMARY KEY,
    account BYTEA NOT NULL,
    asset TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount > 0),
    address TEXT NOT NULL,
    script BYTEA NOT NULL,
    rate_max BIGINT NOT NULL,
    fee_max BIGINT NOT NULL,
    fee BIGINT,
    state TEXT NOT NULL,
    reason TEXT,
    attempt BIGINT NOT NULL,
    batch BYTEA REFERENCES treasury_batches (id),
    request_key TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (account, request_key)
);
CREATE INDEX treasury_payouts_by_account ON treasury_payouts (account, created_at);
CREATE INDEX treasury_payouts_by_batch ON treasury_payouts (batch);
CREATE INDEX treasury_payouts_waiting ON treasury_payouts (asset, created_at)
    WHERE state IN ('requested', 'approved');
