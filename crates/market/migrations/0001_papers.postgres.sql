-- The operator's signature under the terms of a sale.
CREATE TABLE market_signed (
  contract BYTEA NOT NULL PRIMARY KEY,
  operator_key BYTEA NOT NULL,
  signature BYTEA NOT NULL
);

-- What an epoch's sharing out rests on, so that a statement can be recomputed: all entitlements together, and
-- the house's units of each asset.
CREATE TABLE market_sums (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  entitled BYTEA NOT NULL,
  house_units BYTEA NOT NULL,
  PRIMARY KEY (lane, asset, epoch)
);

-- Each life of each block: its window (the first epoch in it with all its units, all units after that one), and the
-- epochs in whose closing it was shared out and credited; after which epoch it was reversed.
CREATE TABLE market_lives (
  asset TEXT NOT NULL,
  block_hash BYTEA NOT NULL,
  generation BIGINT NOT NULL,
  lane TEXT NOT NULL,
  before_epoch BIGINT NOT NULL,
  first_epoch BIGINT,
  first_units BYTEA NOT NULL,
  after_units BYTEA NOT NULL,
  accrued_epoch BIGINT NOT NULL,
  credited_epoch BIGINT,
  reversed_epoch BIGINT,
  reversed_at BIGINT,
  PRIMARY KEY (asset, block_hash, generation)
);

-- Which block a negative settlement takes back.
CREATE TABLE market_take_backs (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  kind BIGINT NOT NULL,
  beneficiary BYTEA NOT NULL,
  number BIGINT NOT NULL,
  block_hash BYTEA NOT NULL,
  generation BIGINT NOT NULL,
  PRIMARY KEY (lane, asset, kind, beneficiary, number)
);

-- What was foretold with a quote, as shown.
CREATE TABLE market_forecasts (
  quote BYTEA NOT NULL PRIMARY KEY,
  made_at BIGINT NOT NULL,
  body BYTEA NOT NULL
);
