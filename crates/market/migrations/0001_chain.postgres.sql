-- The newest blocks of each chain that a lane mines: what fees, difficulty and hashprice are made of. A
-- mirror of the public chain: rows of blocks that leave it are deleted.
CREATE TABLE market_chain (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  height BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  time BIGINT NOT NULL,
  bits BIGINT,
  work BYTEA NOT NULL,
  uncles BIGINT NOT NULL,
  subsidy BIGINT NOT NULL,
  fees BIGINT NOT NULL,
  PRIMARY KEY (lane, asset, height)
);
