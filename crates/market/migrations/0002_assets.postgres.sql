-- A lane may earn several assets: what was one row a lane (and beneficiary) is one for each asset. Rows from
-- before have no asset yet; they are the lane's own coin's, which the configuration tells at the next start.
CREATE TABLE market_units_by_asset (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  beneficiary BYTEA NOT NULL,
  units BYTEA NOT NULL,
  PRIMARY KEY (lane, asset, epoch, kind, beneficiary)
);
INSERT INTO market_units_by_asset (lane, asset, epoch, kind, beneficiary, units)
  SELECT lane, '', epoch, kind, beneficiary, units FROM market_units;
DROP TABLE market_units;
ALTER TABLE market_units_by_asset RENAME TO market_units;

-- All units of an epoch, and the chain as its last job saw it.
CREATE TABLE market_windows (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  units BYTEA NOT NULL,
  network_bits BIGINT,
  height BIGINT,
  PRIMARY KEY (lane, asset, epoch)
);
INSERT INTO market_windows (lane, asset, epoch, units, network_bits, height)
  SELECT lane, '', epoch, units, network_bits, height FROM market_epochs;

CREATE TABLE market_standings_by_asset (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
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
  PRIMARY KEY (lane, asset, kind, beneficiary)
);
INSERT INTO market_standings_by_asset (lane, asset, kind, beneficiary, account, accrued, matured,
  settled_minor, net_minor, fee_carry, waiting_minor, settlements, settled_to)
  SELECT lane, '', kind, beneficiary, account, accrued, matured, settled_minor, net_minor, fee_carry,
  waiting_minor, settlements, settled_to FROM market_standings;
DROP TABLE market_standings;
ALTER TABLE market_standings_by_asset RENAME TO market_standings;
CREATE INDEX market_standings_waiting ON market_standings (lane, waiting_minor);
CREATE INDEX market_standings_account ON market_standings (account);

CREATE TABLE market_settlements_by_asset (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
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
  PRIMARY KEY (lane, asset, kind, beneficiary, number)
);
INSERT INTO market_settlements_by_asset (lane, asset, kind, beneficiary, number, from_epoch, to_epoch,
  gross_minor, fee_minor, maintenance_minor, waived_minor, net_minor, at)
  SELECT lane, '', kind, beneficiary, number, from_epoch, to_epoch, gross_minor, fee_minor,
  maintenance_minor, waived_minor, net_minor, at FROM market_settlements;
DROP TABLE market_settlements;
ALTER TABLE market_settlements_by_asset RENAME TO market_settlements;

-- Of which chain a found block is.
ALTER TABLE market_found ADD COLUMN asset TEXT NOT NULL DEFAULT '';

-- The assets that maintenance is taken from after the lane's own, with the whole fee in each: CODE:MINOR,...
ALTER TABLE market_contracts ADD COLUMN maintenance_also TEXT NOT NULL DEFAULT '';
