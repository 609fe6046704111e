-- Contracts whose owner wants to be paid by the block itself, or did once; and what the chain paid so. The books hold
-- nothing of it: these coins were never the house's.
CREATE TABLE hosting_in_block (
    contract BYTEA NOT NULL PRIMARY KEY CHECK (length(contract) = 16),
    wanted BIGINT NOT NULL CHECK (wanted IN (0, 1)),
    FOREIGN KEY (contract) REFERENCES hosting_contracts (id)
);
CREATE TABLE hosting_own_blocks (
    asset TEXT NOT NULL,
    block_hash BYTEA NOT NULL,
    vout BIGINT NOT NULL,
    account BYTEA NOT NULL CHECK (length(account) = 16),
    lane TEXT NOT NULL,
    height BIGINT NOT NULL,
    at BIGINT NOT NULL,
    address TEXT NOT NULL,
    minor BIGINT NOT NULL CHECK (minor > 0),
    is_orphaned BIGINT NOT NULL CHECK (is_orphaned IN (0, 1)),
    PRIMARY KEY (asset, block_hash, vout, account)
);
CREATE INDEX hosting_own_blocks_by_account ON hosting_own_blocks (account, at);
