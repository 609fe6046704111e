-- What plans of machines say besides, by which plan and request a machine was ordered, and the operator's signature
-- under the terms.
ALTER TABLE hosting_contracts ADD COLUMN term_epochs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosting_contracts ADD COLUMN minimum_minor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE hosting_contracts ADD COLUMN plan TEXT;
ALTER TABLE hosting_contracts ADD COLUMN plan_version INTEGER;
ALTER TABLE hosting_contracts ADD COLUMN request_key TEXT;
ALTER TABLE hosting_contracts ADD COLUMN terms_key BLOB;
ALTER TABLE hosting_contracts ADD COLUMN terms_signature BLOB;
CREATE UNIQUE INDEX hosting_one_order ON hosting_contracts (account, request_key);
CREATE INDEX hosting_by_machine ON hosting_contracts (machine);
