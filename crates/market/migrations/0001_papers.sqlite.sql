-- The operator's signature under the terms of a sale.
CREATE TABLE market_signed (
  contract BLOB NOT NULL PRIMARY KEY,
  operator_key BLOB NOT NULL,
  signature BLOB NOT NULL
) STRICT;

-- What an epoch's sharing out rests on, so that a statement can be recomputed: all entitlements together, and
-- the house's units of each asset.
CREATE TABLE market_sums (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  entitled BLOB NOT NULL,
  house_units BLOB NOT NULL,
  PRIMARY KEY (lane, asset, epoch)
) STRICT;

-- Each life of each block: its window (the first epoch in it with all its units, all units after that one), and the
-- epochs in whose closing it was shared out and credited; after which epoch it was reversed.
CREATE TABLE market_lives (
  asset TEXT NOT NULL,
  block_hash BLOB NOT NULL,
  generation INTEGER NOT NULL,
  lane TEXT NOT NULL,
  before_epoch INTEGER NOT NULL,
  first_epoch INTEGER,
  first_units BLOB NOT NULL,
  after_units BLOB NOT NULL,
  accrued_epoch INTEGER NOT NULL,
  credited_epoch INTEGER,
  reversed_epoch INTEGER,
  reversed_at INTEGER,
  PRIMARY KEY (asset, block_hash, generation)
) STRICT;

-- Which block a negative settlement takes back.
CREATE TABLE market_take_backs (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  kind INTEGER NOT NULL,
  beneficiary BLOB NOT NULL,
  number INTEGER NOT NULL,
  block_hash BLOB NOT NULL,
  generation INTEGER NOT NULL,
  PRIMARY KEY (lane, asset, kind, beneficiary, number)
) STRICT;

-- What was foretold with a quote, as shown.
CREATE TABLE market_forecasts (
  quote BLOB NOT NULL PRIMARY KEY,
  made_at INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
