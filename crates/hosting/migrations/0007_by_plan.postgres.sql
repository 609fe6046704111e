-- What became of a plan's machines is read newest first.
CREATE INDEX hosting_by_plan ON hosting_contracts (plan, accepted_at, id) WHERE accepted_at IS NOT NULL;
