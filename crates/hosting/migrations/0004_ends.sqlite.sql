-- Orders that wait for their invoice; before which epoch a term ends; who ended a contract, when, and what came back of
-- its price; and what is owed of contracts that are over.
ALTER TABLE hosting_contracts ADD COLUMN term_end INTEGER;
ALTER TABLE hosting_contracts ADD COLUMN ended_by TEXT;
ALTER TABLE hosting_contracts ADD COLUMN ended_at INTEGER;
ALTER TABLE hosting_contracts ADD COLUMN back_minor INTEGER NOT NULL DEFAULT 0;
UPDATE hosting_contracts SET term_end = to_epoch WHERE term_epochs > 0;
CREATE UNIQUE INDEX hosting_one_open ON hosting_contracts (machine) WHERE state = 'offered' OR state = 'ordered';
CREATE INDEX hosting_unpaid_orders ON hosting_contracts (plan) WHERE state = 'ordered';
CREATE INDEX hosting_owing ON hosting_contracts (lane, id) WHERE state = 'ended' AND arrears > 0;
