-- Stretches in which a contract whose plan runs on cost more than it earned: what a TH·day earned and cost, in minor units of an
-- asset, when that was seen, and when it was over; without figures where it was over because the contract was. The price
-- is that of the instant, where they are dollars.
CREATE TABLE market_losses (
  contract BLOB NOT NULL,
  lane TEXT NOT NULL,
  plan TEXT NOT NULL,
  plan_version INTEGER NOT NULL,
  from_epoch INTEGER NOT NULL,
  asset TEXT NOT NULL,
  earns_minor INTEGER NOT NULL,
  costs_minor INTEGER NOT NULL,
  price_instant INTEGER,
  until_epoch INTEGER,
  until_earns_minor INTEGER,
  until_costs_minor INTEGER,
  until_price_instant INTEGER,
  PRIMARY KEY (contract, from_epoch)
) STRICT;
CREATE INDEX market_losses_open ON market_losses (lane, contract) WHERE until_epoch IS NULL;
CREATE INDEX market_losses_of_plan ON market_losses (lane, plan, plan_version, from_epoch) WHERE until_epoch IS NULL;
