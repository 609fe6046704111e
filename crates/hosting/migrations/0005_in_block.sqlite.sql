-- Contracts whose owner wants to be paid by the block itself, or did once; and what the chain paid so. The books hold
-- nothing of it: these coins were never the house's.
CREATE TABLE hosting_in_block (
    contract BLOB NOT NULL PRIMARY KEY CHECK (length(contract) = 16),
    wanted INTEGER NOT NULL CHECK (wanted IN (0, 1)),
    FOREIGN KEY (contract) REFERENCES hosting_contracts (id)
) STRICT;
CREATE TABLE hosting_own_blocks (
    asset TEXT NOT NULL,
    block_hash BLOB NOT NULL,
    vout INTEGER NOT NULL,
    account BLOB NOT NULL CHECK (length(account) = 16),
    lane TEXT NOT NULL,
    height INTEGER NOT NULL,
    at INTEGER NOT NULL,
    address TEXT NOT NULL,
    minor INTEGER NOT NULL CHECK (minor > 0),
    is_orphaned INTEGER NOT NULL CHECK (is_orphaned IN (0, 1)),
    PRIMARY KEY (asset, block_hash, vout, account)
) STRICT;
CREATE INDEX hosting_own_blocks_by_account ON hosting_own_blocks (account, at);
