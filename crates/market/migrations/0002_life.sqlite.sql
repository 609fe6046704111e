-- Contracts whose earnings buy more, among all that anything was ever wished of.
CREATE INDEX market_wishes_reinvest ON market_wishes (contract) WHERE reinvest = 1;
