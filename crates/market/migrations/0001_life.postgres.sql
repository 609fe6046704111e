-- The life of contracts between sale and end. Columns of other tables are added here, so that this list
-- counts by itself.

-- What a quote was given on: network difficulty by the last closed epoch's job, hashes a block of the
-- chain's newest block, the coin's recorded price; and the contract that it would follow.
ALTER TABLE market_quotes ADD COLUMN job_bits BIGINT;
ALTER TABLE market_quotes ADD COLUMN chain_work BYTEA;
ALTER TABLE market_quotes ADD COLUMN price_usd_micro BIGINT;
ALTER TABLE market_quotes ADD COLUMN renews BYTEA;

-- Whether it holds capacity of its own (one that follows another does so from the other's end on); what it
-- follows; work that was paid for in coins instead of delivered; missed work its owner has not decided about;
-- epochs that its clock stood still; since when it is paused; the plan's rules of life as sold.
ALTER TABLE market_contracts ADD COLUMN holds BIGINT NOT NULL DEFAULT 1;
ALTER TABLE market_contracts ADD COLUMN renews BYTEA;
ALTER TABLE market_contracts ADD COLUMN compensated BYTEA;
ALTER TABLE market_contracts ADD COLUMN undecided BYTEA;
ALTER TABLE market_contracts ADD COLUMN paused_epochs BIGINT NOT NULL DEFAULT 0;
ALTER TABLE market_contracts ADD COLUMN paused_since BIGINT;
ALTER TABLE market_contracts ADD COLUMN rules TEXT NOT NULL DEFAULT '';
CREATE INDEX market_contracts_renews ON market_contracts (renews);

-- What a customer wants of a contract.
CREATE TABLE market_wishes (
  contract BYTEA NOT NULL PRIMARY KEY,
  keep_running BIGINT NOT NULL,
  renew_max_minor BIGINT,
  reinvest BIGINT NOT NULL,
  reinvest_from_minor BIGINT NOT NULL,
  reinvested_minor BIGINT NOT NULL
);

-- What the operator did with the house's machines, by his own record.
CREATE TABLE market_acts (
  id BIGINT NOT NULL,
  lane TEXT NOT NULL,
  what TEXT NOT NULL,
  hashrate BYTEA NOT NULL,
  from_epoch BIGINT NOT NULL,
  until_epoch BIGINT,
  note TEXT NOT NULL,
  recorded_at BIGINT NOT NULL,
  PRIMARY KEY (lane, id)
);

-- Epochs in which the house's work did not suffice, and what of that the operator caused.
CREATE TABLE market_short (
  lane TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  since_epoch BIGINT NOT NULL,
  missing BYTEA NOT NULL,
  judged BIGINT NOT NULL,
  declared BYTEA,
  elsewhere BYTEA,
  caused BYTEA,
  PRIMARY KEY (lane, epoch)
);
CREATE INDEX market_short_judged ON market_short (judged, lane, epoch);

-- Work of an epoch whose earnings a contract may be owed: missed by the operator's doing, or worked by the
-- house while the contract was paused.
CREATE TABLE market_owed (
  contract BYTEA NOT NULL,
  epoch BIGINT NOT NULL,
  kind TEXT NOT NULL,
  lane TEXT NOT NULL,
  hashes BYTEA NOT NULL,
  state TEXT NOT NULL,
  deadline_epoch BIGINT NOT NULL,
  decided_at BIGINT,
  fee_bps BIGINT NOT NULL,
  energy_micro BIGINT NOT NULL,
  final_epoch BIGINT,
  PRIMARY KEY (contract, epoch, kind)
);
CREATE INDEX market_owed_state ON market_owed (lane, state, epoch);

-- What of that was paid so far.
CREATE TABLE market_owed_paid (
  contract BYTEA NOT NULL,
  epoch BIGINT NOT NULL,
  kind TEXT NOT NULL,
  asset TEXT NOT NULL,
  minor BIGINT NOT NULL,
  payments BIGINT NOT NULL,
  PRIMARY KEY (contract, epoch, kind, asset)
);

-- What price sources said, and the price that was made of it for a scheduled instant: millionths of a
-- dollar for a whole coin.
CREATE TABLE market_price_reports (
  source TEXT NOT NULL,
  asset TEXT NOT NULL,
  at BIGINT NOT NULL,
  usd_micro BIGINT NOT NULL,
  PRIMARY KEY (source, asset, at)
);
CREATE INDEX market_price_reports_at ON market_price_reports (asset, at);
CREATE TABLE market_prices (
  asset TEXT NOT NULL,
  instant BIGINT NOT NULL,
  usd_micro BIGINT NOT NULL,
  sources TEXT NOT NULL,
  recorded_at BIGINT NOT NULL,
  PRIMARY KEY (asset, instant)
);

-- Fees in dollars (fixed point of a millionth) up to a scheduled settlement, until they are converted at
-- its instant's price.
CREATE TABLE market_usd_dues (
  contract BYTEA NOT NULL,
  to_epoch BIGINT NOT NULL,
  lane TEXT NOT NULL,
  instant BIGINT NOT NULL,
  total BYTEA NOT NULL,
  due BYTEA NOT NULL,
  usd_micro BIGINT,
  PRIMARY KEY (contract, to_epoch)
);
CREATE INDEX market_usd_dues_open ON market_usd_dues (lane, usd_micro, instant);

-- Whether a contract was worth running, decided at a scheduled instant.
CREATE TABLE market_pause_decisions (
  contract BYTEA NOT NULL,
  epoch BIGINT NOT NULL,
  price_instant BIGINT NOT NULL,
  earns_micro BIGINT NOT NULL,
  costs_micro BIGINT NOT NULL,
  decision TEXT NOT NULL,
  effective_epoch BIGINT NOT NULL,
  PRIMARY KEY (contract, epoch)
);

-- What customers are told.
CREATE TABLE market_notices (
  account BYTEA NOT NULL,
  contract BYTEA NOT NULL,
  kind TEXT NOT NULL,
  about BIGINT NOT NULL,
  at BIGINT NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (contract, kind, about)
);
CREATE INDEX market_notices_account ON market_notices (account, at);
