-- Who waits for a settlement, in the order in which they are gone through: a page of them is found where the
-- one before ended, however many there are.
DROP INDEX market_standings_waiting;
CREATE INDEX market_standings_waiting ON market_standings (lane, kind, beneficiary)
  WHERE waiting_minor > 0;

-- The one or two open holds of a contract beside the thousands that are closed.
CREATE INDEX market_holds_open_of ON market_holds (contract, epoch) WHERE is_open = 1;

-- Fees in dollars that wait for a price, in the order in which they are converted.
CREATE INDEX market_usd_dues_waiting ON market_usd_dues (lane, instant, contract, to_epoch)
  WHERE usd_micro IS NULL;
