-- Offers, as configured, every version that was ever sold.
CREATE TABLE market_plans (
  id TEXT NOT NULL,
  version BIGINT NOT NULL,
  body BYTEA NOT NULL,
  stored_at BIGINT NOT NULL,
  PRIMARY KEY (id, version)
);

-- Hashrate under contract or held for one, a row a lane: sales race for it by its version.
CREATE TABLE market_capacity (
  lane TEXT NOT NULL PRIMARY KEY,
  sold BYTEA NOT NULL,
  version BIGINT NOT NULL
);

-- How far the accountant is, a row a lane.
CREATE TABLE market_lanes (
  lane TEXT NOT NULL PRIMARY KEY,
  closed_epoch BIGINT,
  checkpoint BYTEA NOT NULL,
  cursor_segment BIGINT NOT NULL,
  cursor_offset BIGINT NOT NULL,
  shares BIGINT NOT NULL
);

CREATE TABLE market_quotes (
  id BYTEA NOT NULL PRIMARY KEY,
  account BYTEA NOT NULL,
  plan TEXT NOT NULL,
  plan_version BIGINT NOT NULL,
  hashrate BYTEA NOT NULL,
  term_epochs BIGINT NOT NULL,
  epoch_work BYTEA NOT NULL,
  work BYTEA NOT NULL,
  price_asset TEXT NOT NULL,
  price_minor BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used BIGINT NOT NULL
);
CREATE INDEX market_quotes_account ON market_quotes (account, expires_at);

CREATE TABLE market_contracts (
  id BYTEA NOT NULL PRIMARY KEY,
  account BYTEA NOT NULL,
  quote BYTEA NOT NULL UNIQUE,
  plan TEXT NOT NULL,
  plan_version BIGINT NOT NULL,
  title TEXT NOT NULL,
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch_us BIGINT NOT NULL,
  hashrate BYTEA NOT NULL,
  term_epochs BIGINT NOT NULL,
  extension_epochs BIGINT NOT NULL,
  catch_up_bps BIGINT NOT NULL,
  epoch_work BYTEA NOT NULL,
  work BYTEA NOT NULL,
  price_asset TEXT NOT NULL,
  price_minor BIGINT NOT NULL,
  fee_bps BIGINT NOT NULL,
  maintenance BIGINT NOT NULL,
  terms BYTEA NOT NULL,
  terms_hash BYTEA NOT NULL,
  state TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  paid_at BIGINT,
  start_epoch BIGINT,
  ended_epoch BIGINT,
  delivered BYTEA NOT NULL,
  short_since BIGINT,
  maintenance_due BYTEA NOT NULL,
  recognised_minor BIGINT NOT NULL,
  refunded_minor BIGINT NOT NULL
);
CREATE INDEX market_contracts_account ON market_contracts (account, created_at);
CREATE INDEX market_contracts_state ON market_contracts (lane, state);

CREATE TABLE market_epochs (
  lane TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  skipped BIGINT NOT NULL,
  closed_at BIGINT NOT NULL,
  shares BIGINT NOT NULL,
  duplicates BIGINT NOT NULL,
  house_work BYTEA NOT NULL,
  other_work BYTEA NOT NULL,
  house_squares BYTEA NOT NULL,
  allocated BYTEA NOT NULL,
  surplus BYTEA NOT NULL,
  units BYTEA NOT NULL,
  share_root BYTEA NOT NULL,
  allocation_root BYTEA NOT NULL,
  checkpoint BYTEA NOT NULL,
  network_bits BIGINT,
  height BIGINT,
  PRIMARY KEY (lane, epoch)
);

-- Work of an epoch by owner (no bytes: the house) and network target.
CREATE TABLE market_work (
  lane TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  owner BYTEA NOT NULL,
  bits BIGINT NOT NULL,
  shares BIGINT NOT NULL,
  work BYTEA NOT NULL,
  PRIMARY KEY (lane, epoch, owner, bits)
);

-- PPLNS units of an epoch by beneficiary.
CREATE TABLE market_units (
  lane TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  beneficiary BYTEA NOT NULL,
  units BYTEA NOT NULL,
  PRIMARY KEY (lane, epoch, kind, beneficiary)
);

-- What each contract got in each epoch.
CREATE TABLE market_lines (
  contract BYTEA NOT NULL,
  epoch BIGINT NOT NULL,
  entitled BYTEA NOT NULL,
  delivered BYTEA NOT NULL,
  made_good BYTEA NOT NULL,
  shortfall BYTEA NOT NULL,
  units BYTEA NOT NULL,
  PRIMARY KEY (contract, epoch)
);

-- Blocks found, from the share log.
CREATE TABLE market_found (
  lane TEXT NOT NULL,
  block_hash BYTEA NOT NULL,
  epoch BIGINT NOT NULL,
  height BIGINT NOT NULL,
  owner BYTEA NOT NULL,
  machine BYTEA NOT NULL,
  found_at BIGINT NOT NULL,
  accepted BIGINT,
  PRIMARY KEY (lane, block_hash)
);
CREATE INDEX market_found_height ON market_found (lane, height);

-- Rewards, from the chain; one a block for ever.
CREATE TABLE market_rewards (
  asset TEXT NOT NULL,
  block_hash BYTEA NOT NULL,
  lane TEXT NOT NULL,
  height BIGINT NOT NULL,
  minor BIGINT NOT NULL,
  block_time BIGINT NOT NULL,
  seen_epoch BIGINT NOT NULL,
  generation BIGINT NOT NULL,
  state TEXT NOT NULL,
  window_epoch BIGINT,
  accrued BIGINT NOT NULL,
  credited BIGINT NOT NULL,
  PRIMARY KEY (asset, block_hash)
);
CREATE INDEX market_rewards_open ON market_rewards (lane, state, credited);
CREATE INDEX market_rewards_height ON market_rewards (lane, height);

-- Rewards shared out, in fixed point: whole minor units and the fraction's upper and lower 32 bits, so
-- that the database can add them up exactly. A reversal is a row of its own, all three negative. A
-- generation is a life of the block on the chain.
CREATE TABLE market_accruals (
  asset TEXT NOT NULL,
  block_hash BYTEA NOT NULL,
  generation BIGINT NOT NULL,
  reversal BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  beneficiary BYTEA NOT NULL,
  lane TEXT NOT NULL,
  minor BIGINT NOT NULL,
  fraction_high BIGINT NOT NULL,
  fraction_low BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (asset, block_hash, generation, reversal, kind, beneficiary)
);
CREATE INDEX market_accruals_beneficiary ON market_accruals (lane, kind, beneficiary);

-- Running totals of a beneficiary on a lane: everything accrued, what of it is mature, what is settled.
CREATE TABLE market_standings (
  lane TEXT NOT NULL,
  kind BIGINT NOT NULL,
  beneficiary BYTEA NOT NULL,
  account BYTEA,
  accrued BYTEA NOT NULL,
  matured BYTEA NOT NULL,
  settled_minor BIGINT NOT NULL,
  net_minor BIGINT NOT NULL,
  fee_carry BIGINT NOT NULL,
  waiting_minor BIGINT NOT NULL,
  settlements BIGINT NOT NULL,
  settled_to BIGINT,
  PRIMARY KEY (lane, kind, beneficiary)
);
CREATE INDEX market_standings_waiting ON market_standings (lane, waiting_minor);
CREATE INDEX market_standings_account ON market_standings (account);

-- Settlements, numbered for each beneficiary; a negative one takes back what an orphaned block had paid.
CREATE TABLE market_settlements (
  lane TEXT NOT NULL,
  kind BIGINT NOT NULL,
  beneficiary BYTEA NOT NULL,
  number BIGINT NOT NULL,
  from_epoch BIGINT NOT NULL,
  to_epoch BIGINT NOT NULL,
  gross_minor BIGINT NOT NULL,
  fee_minor BIGINT NOT NULL,
  maintenance_minor BIGINT NOT NULL,
  waived_minor BIGINT NOT NULL,
  net_minor BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (lane, kind, beneficiary, number)
);
