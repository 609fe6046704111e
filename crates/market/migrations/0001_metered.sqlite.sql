-- Metered contracts: pay as you go, out of the customer's balance.
CREATE TABLE market_metered (
  id BLOB NOT NULL PRIMARY KEY,
  account BLOB NOT NULL,
  request_key TEXT,
  plan TEXT NOT NULL,
  plan_version INTEGER NOT NULL,
  title TEXT NOT NULL,
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  pay_asset TEXT NOT NULL,
  epoch_us INTEGER NOT NULL,
  hashrate BLOB NOT NULL,
  epoch_work BLOB NOT NULL,
  scheme TEXT NOT NULL,
  fpps TEXT NOT NULL,
  fee_bps INTEGER NOT NULL,
  maintenance INTEGER NOT NULL,
  maintenance_also TEXT NOT NULL,
  low_epochs INTEGER NOT NULL,
  terms BLOB NOT NULL,
  terms_hash BLOB NOT NULL,
  state TEXT NOT NULL,
  is_low INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  first_epoch INTEGER NOT NULL,
  ended_epoch INTEGER,
  delivered BLOB NOT NULL,
  cost_carry BLOB NOT NULL,
  charged_minor INTEGER NOT NULL,
  maintenance_due BLOB NOT NULL
) STRICT;
CREATE INDEX market_metered_account ON market_metered (account, created_at);
CREATE UNIQUE INDEX market_metered_request ON market_metered (account, request_key);
CREATE INDEX market_metered_state ON market_metered (lane, state);

-- What is held for an epoch at the price fixed then, and what became of it.
CREATE TABLE market_holds (
  contract BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  lane TEXT NOT NULL,
  plan_version INTEGER NOT NULL,
  price_minor INTEGER NOT NULL,
  price_hashrate BLOB NOT NULL,
  cap BLOB NOT NULL,
  held_minor INTEGER NOT NULL,
  is_open INTEGER NOT NULL,
  delivered BLOB NOT NULL,
  charged_minor INTEGER NOT NULL,
  PRIMARY KEY (contract, epoch)
) STRICT;
CREATE INDEX market_holds_open ON market_holds (lane, is_open, epoch);

-- What a customer is told about a metered contract.
CREATE TABLE market_metered_notices (
  contract BLOB NOT NULL,
  number INTEGER NOT NULL,
  kind TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (contract, number)
) STRICT;
