-- What the house got of a block that paid an owner, and by which published fee: NULL where that of no list is it.
ALTER TABLE hosting_own_blocks ADD COLUMN house BIGINT NOT NULL DEFAULT 0;
ALTER TABLE hosting_own_blocks ADD COLUMN fee_bps BIGINT;
ALTER TABLE hosting_own_blocks ADD COLUMN fee_least BIGINT NOT NULL DEFAULT 0;
UPDATE hosting_own_blocks SET fee_bps = 0;
