-- Offers, as configured, every version that was ever sold.
CREATE TABLE market_plans (
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  body BLOB NOT NULL,
  stored_at INTEGER NOT NULL,
  PRIMARY KEY (id, version)
) STRICT;

-- Hashrate under contract or held for one, a row a lane: sales race for it by its version.
CREATE TABLE market_capacity (
  lane TEXT NOT NULL PRIMARY KEY,
  sold BLOB NOT NULL,
  version INTEGER NOT NULL
) STRICT;

-- How far the accountant is, a row a lane.
CREATE TABLE market_lanes (
  lane TEXT NOT NULL PRIMARY KEY,
  closed_epoch INTEGER,
  checkpoint BLOB NOT NULL,
  cursor_segment INTEGER NOT NULL,
  cursor_offset INTEGER NOT NULL,
  shares INTEGER NOT NULL
) STRICT;

CREATE TABLE market_quotes (
  id BLOB NOT NULL PRIMARY KEY,
  account BLOB NOT NULL,
  plan TEXT NOT NULL,
  plan_version INTEGER NOT NULL,
  hashrate BLOB NOT NULL,
  term_epochs INTEGER NOT NULL,
  epoch_work BLOB NOT NULL,
  work BLOB NOT NULL,
  price_asset TEXT NOT NULL,
  price_minor INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  used INTEGER NOT NULL
) STRICT;
CREATE INDEX market_quotes_account ON market_quotes (account, expires_at);

CREATE TABLE market_contracts (
  id BLOB NOT NULL PRIMARY KEY,
  account BLOB NOT NULL,
  quote BLOB NOT NULL UNIQUE,
  plan TEXT NOT NULL,
  plan_version INTEGER NOT NULL,
  title TEXT NOT NULL,
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch_us INTEGER NOT NULL,
  hashrate BLOB NOT NULL,
  term_epochs INTEGER NOT NULL,
  extension_epochs INTEGER NOT NULL,
  catch_up_bps INTEGER NOT NULL,
  epoch_work BLOB NOT NULL,
  work BLOB NOT NULL,
  price_asset TEXT NOT NULL,
  price_minor INTEGER NOT NULL,
  fee_bps INTEGER NOT NULL,
  maintenance INTEGER NOT NULL,
  terms BLOB NOT NULL,
  terms_hash BLOB NOT NULL,
  state TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  paid_at INTEGER,
  start_epoch INTEGER,
  ended_epoch INTEGER,
  delivered BLOB NOT NULL,
  short_since INTEGER,
  maintenance_due BLOB NOT NULL,
  recognised_minor INTEGER NOT NULL,
  refunded_minor INTEGER NOT NULL
) STRICT;
CREATE INDEX market_contracts_account ON market_contracts (account, created_at);
CREATE INDEX market_contracts_state ON market_contracts (lane, state);

CREATE TABLE market_epochs (
  lane TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  skipped INTEGER NOT NULL,
  closed_at INTEGER NOT NULL,
  shares INTEGER NOT NULL,
  duplicates INTEGER NOT NULL,
  house_work BLOB NOT NULL,
  other_work BLOB NOT NULL,
  house_squares BLOB NOT NULL,
  allocated BLOB NOT NULL,
  surplus BLOB NOT NULL,
  units BLOB NOT NULL,
  share_root BLOB NOT NULL,
  allocation_root BLOB NOT NULL,
  checkpoint BLOB NOT NULL,
  network_bits INTEGER,
  height INTEGER,
  PRIMARY KEY (lane, epoch)
) STRICT;

-- Work of an epoch by owner (no bytes: the house) and network target.
CREATE TABLE market_work (
  lane TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  owner BLOB NOT NULL,
  bits INTEGER NOT NULL,
  shares INTEGER NOT NULL,
  work BLOB NOT NULL,
  PRIMARY KEY (lane, epoch, owner, bits)
) STRICT;

-- PPLNS units of an epoch by beneficiary.
CREATE TABLE market_units (
  lane TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  beneficiary BLOB NOT NULL,
  units BLOB NOT NULL,
  PRIMARY KEY (lane, epoch, kind, beneficiary)
) STRICT;

-- What each contract got in each epoch.
CREATE TABLE market_lines (
  contract BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  entitled BLOB NOT NULL,
  delivered BLOB NOT NULL,
  made_good BLOB NOT NULL,
  shortfall BLOB NOT NULL,
  units BLOB NOT NULL,
  PRIMARY KEY (contract, epoch)
) STRICT;

-- Blocks found, from the share log.
CREATE TABLE market_found (
  lane TEXT NOT NULL,
  block_hash BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  height INTEGER NOT NULL,
  owner BLOB NOT NULL,
  machine BLOB NOT NULL,
  found_at INTEGER NOT NULL,
  accepted INTEGER,
  PRIMARY KEY (lane, block_hash)
) STRICT;
CREATE INDEX market_found_height ON market_found (lane, height);

-- Rewards, from the chain; one a block for ever.
CREATE TABLE market_rewards (
  asset TEXT NOT NULL,
  block_hash BLOB NOT NULL,
  lane TEXT NOT NULL,
  height INTEGER NOT NULL,
  minor INTEGER NOT NULL,
  block_time INTEGER NOT NULL,
  seen_epoch INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  state TEXT NOT NULL,
  window_epoch INTEGER,
  accrued INTEGER NOT NULL,
  credited INTEGER NOT NULL,
  PRIMARY KEY (asset, block_hash)
) STRICT;
CREATE INDEX market_rewards_open ON market_rewards (lane, state, credited);
CREATE INDEX market_rewards_height ON market_rewards (lane, height);

-- Rewards shared out, in fixed point: whole minor units and the fraction's upper and lower 32 bits, so
-- that the database can add them up exactly. A reversal is a row of its own, all three negative. A
-- generation is a life of the block on the chain.
CREATE TABLE market_accruals (
  asset TEXT NOT NULL,
  block_hash BLOB NOT NULL,
  generation INTEGER NOT NULL,
  reversal INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  beneficiary BLOB NOT NULL,
  lane TEXT NOT NULL,
  minor INTEGER NOT NULL,
  fraction_high INTEGER NOT NULL,
  fraction_low INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (asset, block_hash, generation, reversal, kind, beneficiary)
) STRICT;
CREATE INDEX market_accruals_beneficiary ON market_accruals (lane, kind, beneficiary);

-- Running totals of a beneficiary on a lane: everything accrued, what of it is mature, what is settled.
CREATE TABLE market_standings (
  lane TEXT NOT NULL,
  kind INTEGER NOT NULL,
  beneficiary BLOB NOT NULL,
  account BLOB,
  accrued BLOB NOT NULL,
  matured BLOB NOT NULL,
  settled_minor INTEGER NOT NULL,
  net_minor INTEGER NOT NULL,
  fee_carry INTEGER NOT NULL,
  waiting_minor INTEGER NOT NULL,
  settlements INTEGER NOT NULL,
  settled_to INTEGER,
  PRIMARY KEY (lane, kind, beneficiary)
) STRICT;
CREATE INDEX market_standings_waiting ON market_standings (lane, waiting_minor);
CREATE INDEX market_standings_account ON market_standings (account);

-- Settlements, numbered for each beneficiary; a negative one takes back what an orphaned block had paid.
CREATE TABLE market_settlements (
  lane TEXT NOT NULL,
  kind INTEGER NOT NULL,
  beneficiary BLOB NOT NULL,
  number INTEGER NOT NULL,
  from_epoch INTEGER NOT NULL,
  to_epoch INTEGER NOT NULL,
  gross_minor INTEGER NOT NULL,
  fee_minor INTEGER NOT NULL,
  maintenance_minor INTEGER NOT NULL,
  waived_minor INTEGER NOT NULL,
  net_minor INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (lane, kind, beneficiary, number)
) STRICT;
