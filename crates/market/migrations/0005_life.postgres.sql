-- Stretches in which a contract whose plan runs on cost more than it earned: what a TH·day earned and cost, in minor units of an
-- asset, when that was seen, and when it was over; without figures where it was over because the contract was. The price
-- is that of the instant, where they are dollars.
CREATE TABLE market_losses (
  contract BYTEA NOT NULL,
  lane TEXT NOT NULL,
  plan TEXT NOT NULL,
  plan_version BIGINT NOT NULL,
  from_epoch BIGINT NOT NULL,
  asset TEXT NOT NULL,
  earns_minor BIGINT NOT NULL,
  costs_minor BIGINT NOT NULL,
  price_instant BIGINT,
  until_epoch BIGINT,
  until_earns_minor BIGINT,
  until_costs_minor BIGINT,
  until_price_instant BIGINT,
  PRIMARY KEY (contract, from_epoch)
);
CREATE INDEX market_losses_open ON market_losses (lane, contract) WHERE until_epoch IS NULL;
CREATE INDEX market_losses_of_plan ON market_losses (lane, plan, plan_version, from_epoch) WHERE until_epoch IS NULL;
