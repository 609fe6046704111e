-- Who works for the operator, and as what.
CREATE TABLE accounts_staff (
    account BLOB NOT NULL PRIMARY KEY REFERENCES accounts_accounts (id),
    role TEXT NOT NULL CHECK (role IN ('owner', 'finance', 'technician', 'support', 'auditor')),
    since INTEGER NOT NULL
) STRICT;

-- The security log: numbers have no gaps, each hash covers the line and the hash before it. Nothing
-- here tells whose line it is; the digest binds the particulars, which can be erased beside it.
CREATE TABLE accounts_trail (
    seq INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX accounts_trail_by_time ON accounts_trail (at, seq);

-- Its ends: the last line, and the last one that has been cut off for its age.
CREATE TABLE accounts_trail_ends (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    cut_seq INTEGER NOT NULL CHECK (cut_seq >= 0),
    cut_hash BLOB NOT NULL CHECK (length(cut_hash) = 32)
) STRICT;

-- Whose line it is, who did it, and more about it.
CREATE TABLE accounts_particulars (
    seq INTEGER NOT NULL PRIMARY KEY,
    salt BLOB NOT NULL CHECK (length(salt) = 16),
    account BLOB,
    actor BLOB,
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX accounts_particulars_of_account ON accounts_particulars (account, seq);
