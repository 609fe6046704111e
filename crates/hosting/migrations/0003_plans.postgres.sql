-- What plans of machines say besides, by which plan and request a machine was ordered, and the operator's signature
-- under the terms.
ALTER TABLE hosting_contracts ADD COLUMN term_epochs BIGINT NOT NULL DEFAULT 0;
ALTER TABLE hosting_contracts ADD COLUMN minimum_minor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE hosting_contracts ADD COLUMN plan TEXT;
ALTER TABLE hosting_contracts ADD COLUMN plan_version BIGINT;
ALTER TABLE hosting_contracts ADD COLUMN request_key TEXT;
ALTER TABLE hosting_contracts ADD COLUMN terms_key BYTEA;
ALTER TABLE hosting_contracts ADD COLUMN terms_signature BYTEA;
CREATE UNIQUE INDEX hosting_one_order ON hosting_contracts (account, request_key);
CREATE INDEX hosting_by_machine ON hosting_contracts (machine);
