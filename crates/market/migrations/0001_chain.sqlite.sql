-- The newest blocks of each chain that a lane mines: what fees, difficulty and hashprice are made of. A
-- mirror of the public chain: rows of blocks that leave it are deleted.
CREATE TABLE market_chain (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  height INTEGER NOT NULL,
  hash BLOB NOT NULL,
  time INTEGER NOT NULL,
  bits INTEGER,
  work BLOB NOT NULL,
  uncles INTEGER NOT NULL,
  subsidy INTEGER NOT NULL,
  fees INTEGER NOT NULL,
  PRIMARY KEY (lane, asset, height)
) STRICT;
