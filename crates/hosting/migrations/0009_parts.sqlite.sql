-- Partners who share what blocks pay a contract's owner: each list is whole, the payout address first with what the others leave.
-- Kept are the list that counts and one that will.
CREATE TABLE hosting_parts (
    contract BLOB NOT NULL CHECK (length(contract) = 16),
    counts_from INTEGER NOT NULL,
    n INTEGER NOT NULL CHECK (n >= 0),
    address TEXT NOT NULL,
    bps INTEGER NOT NULL CHECK (bps > 0 AND bps <= 10000),
    PRIMARY KEY (contract, counts_from, n),
    FOREIGN KEY (contract) REFERENCES hosting_contracts (id)
) STRICT;
-- What a block paid in all where it paid several, which of them this output is (0: the payout address), and the others' parts.
ALTER TABLE hosting_own_blocks ADD COLUMN whole INTEGER;
ALTER TABLE hosting_own_blocks ADD COLUMN part INTEGER;
ALTER TABLE hosting_own_blocks ADD COLUMN others TEXT;
