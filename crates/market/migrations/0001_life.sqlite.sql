-- The life of contracts between sale and end. Columns of other tables are added here, so that this list
-- counts by itself.

-- What a quote was given on: network difficulty by the last closed epoch's job, hashes a block of the
-- chain's newest block, the coin's recorded price; and the contract that it would follow.
ALTER TABLE market_quotes ADD COLUMN job_bits INTEGER;
ALTER TABLE market_quotes ADD COLUMN chain_work BLOB;
ALTER TABLE market_quotes ADD COLUMN price_usd_micro INTEGER;
ALTER TABLE market_quotes ADD COLUMN renews BLOB;

-- Whether it holds capacity of its own (one that follows another does so from the other's end on); what it
-- follows; work that was paid for in coins instead of delivered; missed work its owner has not decided about;
-- epochs that its clock stood still; since when it is paused; the plan's rules of life as sold.
ALTER TABLE market_contracts ADD COLUMN holds INTEGER NOT NULL DEFAULT 1;
ALTER TABLE market_contracts ADD COLUMN renews BLOB;
ALTER TABLE market_contracts ADD COLUMN compensated BLOB;
ALTER TABLE market_contracts ADD COLUMN undecided BLOB;
ALTER TABLE market_contracts ADD COLUMN paused_epochs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE market_contracts ADD COLUMN paused_since INTEGER;
ALTER TABLE market_contracts ADD COLUMN rules TEXT NOT NULL DEFAULT '';
CREATE INDEX market_contracts_renews ON market_contracts (renews);

-- What a customer wants of a contract.
CREATE TABLE market_wishes (
  contract BLOB NOT NULL PRIMARY KEY,
  keep_running INTEGER NOT NULL,
  renew_max_minor INTEGER,
  reinvest INTEGER NOT NULL,
  reinvest_from_minor INTEGER NOT NULL,
  reinvested_minor INTEGER NOT NULL
) STRICT;

-- What the operator did with the house's machines, by his own record.
CREATE TABLE market_acts (
  id INTEGER NOT NULL,
  lane TEXT NOT NULL,
  what TEXT NOT NULL,
  hashrate BLOB NOT NULL,
  from_epoch INTEGER NOT NULL,
  until_epoch INTEGER,
  note TEXT NOT NULL,
  recorded_at INTEGER NOT NULL,
  PRIMARY KEY (lane, id)
) STRICT;

-- Epochs in which the house's work did not suffice, and what of that the operator caused.
CREATE TABLE market_short (
  lane TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  since_epoch INTEGER NOT NULL,
  missing BLOB NOT NULL,
  judged INTEGER NOT NULL,
  declared BLOB,
  elsewhere BLOB,
  caused BLOB,
  PRIMARY KEY (lane, epoch)
) STRICT;
CREATE INDEX market_short_judged ON market_short (judged, lane, epoch);

-- Work of an epoch whose earnings a contract may be owed: missed by the operator's doing, or worked by the
-- house while the contract was paused.
CREATE TABLE market_owed (
  contract BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  kind TEXT NOT NULL,
  lane TEXT NOT NULL,
  hashes BLOB NOT NULL,
  state TEXT NOT NULL,
  deadline_epoch INTEGER NOT NULL,
  decided_at INTEGER,
  fee_bps INTEGER NOT NULL,
  energy_micro INTEGER NOT NULL,
  final_epoch INTEGER,
  PRIMARY KEY (contract, epoch, kind)
) STRICT;
CREATE INDEX market_owed_state ON market_owed (lane, state, epoch);

-- What of that was paid so far.
CREATE TABLE market_owed_paid (
  contract BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  kind TEXT NOT NULL,
  asset TEXT NOT NULL,
  minor INTEGER NOT NULL,
  payments INTEGER NOT NULL,
  PRIMARY KEY (contract, epoch, kind, asset)
) STRICT;

-- What price sources said, and the price that was made of it for a scheduled instant: millionths of a
-- dollar for a whole coin.
CREATE TABLE market_price_reports (
  source TEXT NOT NULL,
  asset TEXT NOT NULL,
  at INTEGER NOT NULL,
  usd_micro INTEGER NOT NULL,
  PRIMARY KEY (source, asset, at)
) STRICT;
CREATE INDEX market_price_reports_at ON market_price_reports (asset, at);
CREATE TABLE market_prices (
  asset TEXT NOT NULL,
  instant INTEGER NOT NULL,
  usd_micro INTEGER NOT NULL,
  sources TEXT NOT NULL,
  recorded_at INTEGER NOT NULL,
  PRIMARY KEY (asset, instant)
) STRICT;

-- Fees in dollars (fixed point of a millionth) up to a scheduled settlement, until they are converted at
-- its instant's price.
CREATE TABLE market_usd_dues (
  contract BLOB NOT NULL,
  to_epoch INTEGER NOT NULL,
  lane TEXT NOT NULL,
  instant INTEGER NOT NULL,
  total BLOB NOT NULL,
  due BLOB NOT NULL,
  usd_micro INTEGER,
  PRIMARY KEY (contract, to_epoch)
) STRICT;
CREATE INDEX market_usd_dues_open ON market_usd_dues (lane, usd_micro, instant);

-- Whether a contract was worth running, decided at a scheduled instant.
CREATE TABLE market_pause_decisions (
  contract BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  price_instant INTEGER NOT NULL,
  earns_micro INTEGER NOT NULL,
  costs_micro INTEGER NOT NULL,
  decision TEXT NOT NULL,
  effective_epoch INTEGER NOT NULL,
  PRIMARY KEY (contract, epoch)
) STRICT;

-- What customers are told.
CREATE TABLE market_notices (
  account BLOB NOT NULL,
  contract BLOB NOT NULL,
  kind TEXT NOT NULL,
  about INTEGER NOT NULL,
  at INTEGER NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (contract, kind, about)
) STRICT;
CREATE INDEX market_notices_account ON market_notices (account, at);
