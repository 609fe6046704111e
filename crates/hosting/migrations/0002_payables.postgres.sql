-- What machines have earned for their owners, less bills, and is to go to the owners' addresses. What is under way
-- is written before it is asked for, with its number, so that it is asked for once.
CREATE TABLE hosting_payables (
    account BYTEA NOT NULL CHECK (length(account) = 16),
    lane TEXT NOT NULL,
    asset TEXT NOT NULL,
    minor BIGINT NOT NULL CHECK (minor >= 0),
    n BIGINT NOT NULL,
    pending_minor BIGINT,
    pending_address TEXT,
    PRIMARY KEY (account, lane, asset)
);
