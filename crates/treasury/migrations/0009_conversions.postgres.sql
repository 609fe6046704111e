-- Invoices that ask for a coin to pay another invoice with, at a rate that is fixed when they are made: what of
-- the other they pay, both prices in millionths of a dollar, the operator's spread, the instant of the older
-- price, and until when the rate counts.
CREATE TABLE treasury_conversions (
    invoice BYTEA NOT NULL PRIMARY KEY REFERENCES treasury_invoices (id),
    pays BYTEA NOT NULL REFERENCES treasury_invoices (id),
    price_asset TEXT NOT NULL,
    price BIGINT NOT NULL CHECK (price > 0),
    coin_usd_micro BIGINT NOT NULL CHECK (coin_usd_micro > 0),
    price_usd_micro BIGINT NOT NULL CHECK (price_usd_micro > 0),
    spread_bps BIGINT NOT NULL CHECK (spread_bps >= 0),
    priced_at BIGINT NOT NULL,
    counts_until BIGINT NOT NULL
);
CREATE INDEX treasury_conversions_by_paid ON treasury_conversions (pays);
