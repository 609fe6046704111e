-- The minimum payout that a metered contract was sold with, in minor units of the lane's own coin.
ALTER TABLE market_metered ADD COLUMN minimum_minor BIGINT NOT NULL DEFAULT 0;
