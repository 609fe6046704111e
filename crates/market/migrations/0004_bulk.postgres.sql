-- A plan's track record reads its newest contracts; without this every contract that was ever sold.
CREATE INDEX market_contracts_by_plan ON market_contracts (plan, id);
