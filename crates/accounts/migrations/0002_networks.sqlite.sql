-- Networks that an account has signed in from: three bytes of IPv4, six of IPv6, none when unknown.
CREATE TABLE accounts_networks (
    account BLOB NOT NULL REFERENCES accounts_accounts (id),
    network BLOB NOT NULL CHECK (length(network) <= 6),
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (account, network)
) STRICT;

CREATE INDEX accounts_attempts_by_time ON accounts_attempts (worked_off_at);
