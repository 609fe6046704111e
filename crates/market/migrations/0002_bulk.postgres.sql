-- What is fixed in each active contract, some tens of contracts a row in the order of their ids; see
-- `bulk/roll.rs`. Rows of `market_contracts` stay as they are: this says the same, in the form that an epoch's
-- close reads.
CREATE TABLE market_roll (
  lane TEXT NOT NULL,
  first BYTEA NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (lane, first)
);

-- Whether a contract stands there. Those that run and do not are read from their own rows, and what of life
-- changes beside delivery always is.
ALTER TABLE market_contracts ADD COLUMN enrolled BIGINT NOT NULL DEFAULT 0;
DROP INDEX market_contracts_running;
CREATE INDEX market_contracts_running ON market_contracts (lane, id)
  WHERE state IN ('starting', 'active') AND enrolled = 0;
CREATE INDEX market_contracts_lived ON market_contracts (lane, id)
  WHERE enrolled = 1 AND compensated IS NOT NULL;
