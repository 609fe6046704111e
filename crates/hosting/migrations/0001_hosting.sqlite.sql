-- A customer's machine in the house: offered, taken, at work, ended. A transfer is a contract that replaces
-- another; its price goes to the owner before.
CREATE TABLE hosting_contracts (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    machine BLOB NOT NULL CHECK (length(machine) = 16),
    lane TEXT NOT NULL,
    account BLOB NOT NULL CHECK (length(account) = 16),
    state TEXT NOT NULL,
    kind TEXT NOT NULL,
    scheme TEXT NOT NULL,
    pay_from TEXT NOT NULL,
    asset TEXT NOT NULL,
    energy_minor_per_kwh INTEGER NOT NULL CHECK (energy_minor_per_kwh >= 0),
    fee_minor_per_day INTEGER NOT NULL CHECK (fee_minor_per_day >= 0),
    level_bps INTEGER NOT NULL,
    price_asset TEXT NOT NULL,
    price_minor INTEGER NOT NULL CHECK (price_minor >= 0),
    replaces BLOB,
    terms BLOB NOT NULL,
    terms_hash BLOB NOT NULL CHECK (length(terms_hash) = 32),
    address TEXT,
    next_address TEXT,
    next_address_from INTEGER,
    offered_at INTEGER NOT NULL,
    accepted_at INTEGER,
    from_epoch INTEGER,
    to_epoch INTEGER,
    billed_to INTEGER,
    energy_carry INTEGER NOT NULL,
    fee_carry INTEGER NOT NULL,
    arrears INTEGER NOT NULL CHECK (arrears >= 0),
    bills INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX hosting_one_offer ON hosting_contracts (machine) WHERE state = 'offered';
CREATE UNIQUE INDEX hosting_one_owner ON hosting_contracts (machine) WHERE state = 'active' AND to_epoch IS NULL;
CREATE INDEX hosting_by_account ON hosting_contracts (account, offered_at);
CREATE INDEX hosting_by_lane ON hosting_contracts (lane, state, id);

CREATE TABLE hosting_certificates (
    machine BLOB NOT NULL CHECK (length(machine) = 16),
    n INTEGER NOT NULL,
    contract BLOB NOT NULL UNIQUE CHECK (length(contract) = 16),
    text TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (machine, n),
    FOREIGN KEY (contract) REFERENCES hosting_contracts (id)
) STRICT;

CREATE TABLE hosting_bills (
    contract BLOB NOT NULL CHECK (length(contract) = 16),
    n INTEGER NOT NULL,
    at INTEGER NOT NULL,
    from_epoch INTEGER NOT NULL,
    until_epoch INTEGER NOT NULL,
    energy_uj INTEGER NOT NULL CHECK (energy_uj >= 0),
    span_us INTEGER NOT NULL,
    up_us INTEGER NOT NULL,
    energy INTEGER NOT NULL CHECK (energy >= 0),
    fee INTEGER NOT NULL CHECK (fee >= 0),
    credit INTEGER NOT NULL CHECK (credit >= 0),
    due INTEGER NOT NULL CHECK (due >= 0),
    paid INTEGER NOT NULL CHECK (paid >= 0),
    waived INTEGER NOT NULL CHECK (waived >= 0),
    arrears INTEGER NOT NULL CHECK (arrears >= 0),
    PRIMARY KEY (contract, n),
    FOREIGN KEY (contract) REFERENCES hosting_contracts (id)
) STRICT;
