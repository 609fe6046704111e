-- What a lane's contracts got in an epoch, some tens of contracts a row in the order of their ids; `first`
-- is the lowest id in it. The form of `body` is told in `bulk/lines.rs`.
CREATE TABLE market_line_pages (
  lane TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  first BYTEA NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (lane, epoch, first)
);

-- How far the delivery of each running contract is, written anew with every epoch; see `bulk/progress.rs`.
-- What stands here goes before the same columns of `market_contracts`.
CREATE TABLE market_progress (
  lane TEXT NOT NULL,
  first BYTEA NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (lane, first)
);

-- The contracts that an epoch's close goes through, in order, however many are over.
CREATE INDEX market_contracts_running ON market_contracts (lane, id)
  WHERE state IN ('starting', 'active');
