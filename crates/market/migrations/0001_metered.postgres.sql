-- Metered contracts: pay as you go, out of the customer's balance.
CREATE TABLE market_metered (
  id BYTEA NOT NULL PRIMARY KEY,
  account BYTEA NOT NULL,
  request_key TEXT,
  plan TEXT NOT NULL,
  plan_version BIGINT NOT NULL,
  title TEXT NOT NULL,
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  pay_asset TEXT NOT NULL,
  epoch_us BIGINT NOT NULL,
  hashrate BYTEA NOT NULL,
  epoch_work BYTEA NOT NULL,
  scheme TEXT NOT NULL,
  fpps TEXT NOT NULL,
  fee_bps BIGINT NOT NULL,
  maintenance BIGINT NOT NULL,
  maintenance_also TEXT NOT NULL,
  low_epochs BIGINT NOT NULL,
  terms BYTEA NOT NULL,
  terms_hash BYTEA NOT NULL,
  state TEXT NOT NULL,
  is_low BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  first_epoch BIGINT NOT NULL,
  ended_epoch BIGINT,
  delivered BYTEA NOT NULL,
  cost_carry BYTEA NOT NULL,
  charged_minor BIGINT NOT NULL,
  maintenance_due BYTEA NOT NULL
);
CREATE INDEX market_metered_account ON market_metered (account, created_at);
CREATE UNIQUE INDEX market_metered_request ON market_metered (account, request_key);
CREATE INDEX market_metered_state ON market_metered (lane, state);

-- What is held for an epoch at the price fixed then, and what became of it.
CREATE TABLE market_holds (
  contract BYTEA NOT NULL,
  epoch BIGINT NOT NULL,
  lane TEXT NOT NULL,
  plan_version BIGINT NOT NULL,
  price_minor BIGINT NOT NULL,
  price_hashrate BYTEA NOT NULL,
  cap BYTEA NOT NULL,
  held_minor BIGINT NOT NULL,
  is_open BIGINT NOT NULL,
  delivered BYTEA NOT NULL,
  charged_minor BIGINT NOT NULL,
  PRIMARY KEY (contract, epoch)
);
CREATE INDEX market_holds_open ON market_holds (lane, is_open, epoch);

-- What a customer is told about a metered contract.
CREATE TABLE market_metered_notices (
  contract BYTEA NOT NULL,
  number BIGINT NOT NULL,
  kind TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (contract, number)
);
