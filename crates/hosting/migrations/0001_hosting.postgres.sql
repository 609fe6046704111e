-- A customer's machine in the house: offered, taken, at work, ended. A transfer is a contract that replaces
-- another; its price goes to the owner before.
CREATE TABLE hosting_contracts (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    machine BYTEA NOT NULL CHECK (length(machine) = 16),
    lane TEXT NOT NULL,
    account BYTEA NOT NULL CHECK (length(account) = 16),
    state TEXT NOT NULL,
    kind TEXT NOT NULL,
    scheme TEXT NOT NULL,
    pay_from TEXT NOT NULL,
    asset TEXT NOT NULL,
    energy_minor_per_kwh BIGINT NOT NULL CHECK (energy_minor_per_kwh >= 0),
    fee_minor_per_day BIGINT NOT NULL CHECK (fee_minor_per_day >= 0),
    level_bps BIGINT NOT NULL,
    price_asset TEXT NOT NULL,
    price_minor BIGINT NOT NULL CHECK (price_minor >= 0),
    replaces BYTEA,
    terms BYTEA NOT NULL,
    terms_hash BYTEA NOT NULL CHECK (length(terms_hash) = 32),
    address TEXT,
    next_address TEXT,
    next_address_from BIGINT,
    offered_at BIGINT NOT NULL,
    accepted_at BIGINT,
    from_epoch BIGINT,
    to_epoch BIGINT,
    billed_to BIGINT,
    energy_carry BIGINT NOT NULL,
    fee_carry BIGINT NOT NULL,
    arrears BIGINT NOT NULL CHECK (arrears >= 0),
    bills BIGINT NOT NULL
);
CREATE UNIQUE INDEX hosting_one_offer ON hosting_contracts (machine) WHERE state = 'offered';
CREATE UNIQUE INDEX hosting_one_owner ON hosting_contracts (machine) WHERE state = 'active' AND to_epoch IS NULL;
CREATE INDEX hosting_by_account ON hosting_contracts (account, offered_at);
CREATE INDEX hosting_by_lane ON hosting_contracts (lane, state, id);

CREATE TABLE hosting_certificates (
    machine BYTEA NOT NULL CHECK (length(machine) = 16),
    n BIGINT NOT NULL,
    contract BYTEA NOT NULL UNIQUE CHECK (length(contract) = 16),
    text TEXT NOT NULL,
    hash BYTEA NOT NULL CHECK (length(hash) = 32),
    signature BYTEA NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (machine, n),
    FOREIGN KEY (contract) REFERENCES hosting_contracts (id)
);

CREATE TABLE hosting_bills (
    contract BYTEA NOT NULL CHECK (length(contract) = 16),
    n BIGINT NOT NULL,
    at BIGINT NOT NULL,
    from_epoch BIGINT NOT NULL,
    until_epoch BIGINT NOT NULL,
    energy_uj BIGINT NOT NULL CHECK (energy_uj >= 0),
    span_us BIGINT NOT NULL,
    up_us BIGINT NOT NULL,
    energy BIGINT NOT NULL CHECK (energy >= 0),
    fee BIGINT NOT NULL CHECK (fee >= 0),
    credit BIGINT NOT NULL CHECK (credit >= 0),
    due BIGINT NOT NULL CHECK (due >= 0),
    paid BIGINT NOT NULL CHECK (paid >= 0),
    waived BIGINT NOT NULL CHECK (waived >= 0),
    arrears BIGINT NOT NULL CHECK (arrears >= 0),
    PRIMARY KEY (contract, n),
    FOREIGN KEY (contract) REFERENCES hosting_contracts (id)
);
