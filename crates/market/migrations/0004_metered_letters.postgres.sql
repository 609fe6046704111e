-- The letter that tells its owner of a notice: 0 there is none, 1 it is to be written, 2 it was. What was told before this
-- stands on the page alone.
ALTER TABLE market_metered_notices ADD COLUMN letter BIGINT NOT NULL DEFAULT 0;
CREATE INDEX market_metered_notices_unwritten ON market_metered_notices (contract, at) WHERE letter = 1;
