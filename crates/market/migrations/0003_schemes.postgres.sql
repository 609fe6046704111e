-- By which scheme a contract earns. An FPPS contract's figures are those of its terms, for each asset:
-- CODE:WINDOW:CAP:DEPTH,... (blocks, minor units of fees a block, blocks).
ALTER TABLE market_contracts ADD COLUMN scheme TEXT NOT NULL DEFAULT 'pplns';
ALTER TABLE market_contracts ADD COLUMN fpps TEXT NOT NULL DEFAULT '';

-- Work of an epoch whose blocks belong to their finder, by whose it is.
CREATE TABLE market_solo (
  lane TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  beneficiary BYTEA NOT NULL,
  work BYTEA NOT NULL,
  PRIMARY KEY (lane, epoch, kind, beneficiary)
);

-- By which scheme an account's own machines earn, from an epoch on.
CREATE TABLE market_own_schemes (
  lane TEXT NOT NULL,
  account BYTEA NOT NULL,
  from_epoch BIGINT NOT NULL,
  scheme TEXT NOT NULL,
  PRIMARY KEY (lane, account, from_epoch)
);

-- Epochs with work that FPPS pays, asset by asset; open until their price can be known.
CREATE TABLE market_fpps_epochs (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  house_work BYTEA NOT NULL,
  is_open BIGINT NOT NULL,
  PRIMARY KEY (lane, asset, epoch)
);
CREATE INDEX market_fpps_epochs_open ON market_fpps_epochs (lane, asset, is_open, epoch);

-- The house's work of such an epoch by network target and height of its jobs.
CREATE TABLE market_fpps_work (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  height BIGINT NOT NULL,
  bits BIGINT NOT NULL,
  work BYTEA NOT NULL,
  PRIMARY KEY (lane, asset, epoch, height, bits)
);

-- What a block at a height was worth by the terms of those who were paid for it.
CREATE TABLE market_fpps_prices (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  height BIGINT NOT NULL,
  window_blocks BIGINT NOT NULL,
  cap_minor BIGINT NOT NULL,
  subsidy BIGINT NOT NULL,
  fee_average BIGINT NOT NULL,
  PRIMARY KEY (lane, asset, epoch, height, window_blocks, cap_minor)
);

-- What each FPPS contract earned in an epoch, after the operator's fee; null until the epoch's price is known.
CREATE TABLE market_fpps_lines (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  contract BYTEA NOT NULL,
  work BYTEA NOT NULL,
  minor BIGINT,
  fraction_high BIGINT,
  fraction_low BIGINT,
  PRIMARY KEY (lane, asset, epoch, contract)
);
CREATE INDEX market_fpps_lines_contract ON market_fpps_lines (contract, asset, epoch);

-- What the operator put into the FPPS reserve or (negative) took out of it.
CREATE TABLE market_fpps_capital (
  asset TEXT NOT NULL,
  reason TEXT NOT NULL,
  minor BIGINT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (asset, reason)
);
