-- The newest blocks stand on the front page: they are found, and those of each chain counted, without a look at the
-- rows of all that were ever found.
CREATE INDEX market_found_by_time ON market_found (lane, found_at, height, block_hash);
CREATE INDEX market_rewards_by_time ON market_rewards (lane, block_time, height, block_hash);
CREATE INDEX market_rewards_standing ON market_rewards (lane, asset, state);
