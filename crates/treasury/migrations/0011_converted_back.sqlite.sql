-- What of a conversion was undone because its contract refunded something: so much of the price, and the coins for it.
ALTER TABLE treasury_conversions ADD COLUMN back_price INTEGER NOT NULL DEFAULT 0;
ALTER TABLE treasury_conversions ADD COLUMN back_coin INTEGER NOT NULL DEFAULT 0;
CREATE INDEX treasury_invoices_by_contract ON treasury_invoices (contract) WHERE contract IS NOT NULL;
