-- What became of a plan's contracts is asked for by anybody, also of plans that never were.
CREATE INDEX market_metered_by_plan ON market_metered (plan, id);
