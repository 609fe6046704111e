-- When a machine's work was last seen, which says which of an account's machines outside to forget
-- when there are too many; and since when a machine of the house is no longer in the configuration.
ALTER TABLE farm_machines ADD COLUMN worked_at BIGINT;
ALTER TABLE farm_machines ADD COLUMN retired_at BIGINT;
