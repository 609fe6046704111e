-- Networks that an account has signed in from: three bytes of IPv4, six of IPv6, none when unknown.
CREATE TABLE accounts_networks (
    account BYTEA NOT NULL REFERENCES accounts_accounts (id),
    network BYTEA NOT NULL CHECK (length(network) <= 6),
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (account, network)
);

CREATE INDEX accounts_attempts_by_time ON accounts_attempts (worked_off_at);
