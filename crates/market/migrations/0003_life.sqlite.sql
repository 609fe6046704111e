-- From which epoch on a contract gets nothing, because its payment is disputed; for those who look at it.
ALTER TABLE market_contracts ADD COLUMN frozen_since INTEGER;

-- Disputes about payments of contracts, each by its name at the service: from which epoch on it freezes the contract, until
-- before which; from which epoch's close on the contract ends for it, and what was lost then, minor units of the price's
-- asset; whether a close still has to look at it.
CREATE TABLE market_freezes (
  contract BLOB NOT NULL,
  cause TEXT NOT NULL,
  lane TEXT NOT NULL,
  from_epoch INTEGER NOT NULL,
  until_epoch INTEGER,
  end_epoch INTEGER,
  lost_minor INTEGER,
  is_open INTEGER NOT NULL,
  asked_at INTEGER NOT NULL,
  PRIMARY KEY (contract, cause)
) STRICT;
CREATE INDEX market_freezes_open ON market_freezes (lane, contract, cause) WHERE is_open = 1;

-- Stretches of epochs that a contract was frozen in, first and last so far.
CREATE TABLE market_frozen (
  contract BLOB NOT NULL,
  from_epoch INTEGER NOT NULL,
  to_epoch INTEGER NOT NULL,
  PRIMARY KEY (contract, from_epoch)
) STRICT;
