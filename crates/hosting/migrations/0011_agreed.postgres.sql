-- When an account agreed to take what another owner offers it; the machine changes hands some time later.
ALTER TABLE hosting_contracts ADD COLUMN agreed_at BIGINT;
