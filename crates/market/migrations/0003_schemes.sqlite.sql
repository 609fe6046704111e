-- By which scheme a contract earns. An FPPS contract's figures are those of its terms, for each asset:
-- CODE:WINDOW:CAP:DEPTH,... (blocks, minor units of fees a block, blocks).
ALTER TABLE market_contracts ADD COLUMN scheme TEXT NOT NULL DEFAULT 'pplns';
ALTER TABLE market_contracts ADD COLUMN fpps TEXT NOT NULL DEFAULT '';

-- Work of an epoch whose blocks belong to their finder, by whose it is.
CREATE TABLE market_solo (
  lane TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  beneficiary BLOB NOT NULL,
  work BLOB NOT NULL,
  PRIMARY KEY (lane, epoch, kind, beneficiary)
) STRICT;

-- By which scheme an account's own machines earn, from an epoch on.
CREATE TABLE market_own_schemes (
  lane TEXT NOT NULL,
  account BLOB NOT NULL,
  from_epoch INTEGER NOT NULL,
  scheme TEXT NOT NULL,
  PRIMARY KEY (lane, account, from_epoch)
) STRICT;

-- Epochs with work that FPPS pays, asset by asset; open until their price can be known.
CREATE TABLE market_fpps_epochs (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  house_work BLOB NOT NULL,
  is_open INTEGER NOT NULL,
  PRIMARY KEY (lane, asset, epoch)
) STRICT;
CREATE INDEX market_fpps_epochs_open ON market_fpps_epochs (lane, asset, is_open, epoch);

-- The house's work of such an epoch by network target and height of its jobs.
CREATE TABLE market_fpps_work (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  height INTEGER NOT NULL,
  bits INTEGER NOT NULL,
  work BLOB NOT NULL,
  PRIMARY KEY (lane, asset, epoch, height, bits)
) STRICT;

-- What a block at a height was worth by the terms of those who were paid for it.
CREATE TABLE market_fpps_prices (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  height INTEGER NOT NULL,
  window_blocks INTEGER NOT NULL,
  cap_minor INTEGER NOT NULL,
  subsidy INTEGER NOT NULL,
  fee_average INTEGER NOT NULL,
  PRIMARY KEY (lane, asset, epoch, height, window_blocks, cap_minor)
) STRICT;

-- What each FPPS contract earned in an epoch, after the operator's fee; null until the epoch's price is known.
CREATE TABLE market_fpps_lines (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  contract BLOB NOT NULL,
  work BLOB NOT NULL,
  minor INTEGER,
  fraction_high INTEGER,
  fraction_low INTEGER,
  PRIMARY KEY (lane, asset, epoch, contract)
) STRICT;
CREATE INDEX market_fpps_lines_contract ON market_fpps_lines (contract, asset, epoch);

-- What the operator put into the FPPS reserve or (negative) took out of it.
CREATE TABLE market_fpps_capital (
  asset TEXT NOT NULL,
  reason TEXT NOT NULL,
  minor INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (asset, reason)
) STRICT;
