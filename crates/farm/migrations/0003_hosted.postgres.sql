-- What is written on a machine and where it stands. Machines of the configuration have none of it until
-- they are taken into the inventory.
CREATE TABLE farm_inventory (
    machine BYTEA NOT NULL PRIMARY KEY CHECK (length(machine) = 16),
    serial TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    rack TEXT NOT NULL,
    watts BIGINT NOT NULL CHECK (watts > 0),
    state TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    FOREIGN KEY (machine) REFERENCES farm_machines (id)
);

-- From which epoch of its lane on a machine's work is whose: 'house' or an account's id. Without a row
-- it is the house's.
CREATE TABLE farm_owners (
    machine BYTEA NOT NULL CHECK (length(machine) = 16),
    n BIGINT NOT NULL,
    from_epoch BIGINT NOT NULL,
    owner TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (machine, n),
    FOREIGN KEY (machine) REFERENCES farm_inventory (machine)
);

CREATE TABLE farm_history (
    machine BYTEA NOT NULL CHECK (length(machine) = 16),
    n BIGINT NOT NULL,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (machine, n),
    FOREIGN KEY (machine) REFERENCES farm_inventory (machine)
);

CREATE TABLE farm_tickets (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    machine BYTEA NOT NULL CHECK (length(machine) = 16),
    owner TEXT NOT NULL,
    title TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    FOREIGN KEY (machine) REFERENCES farm_inventory (machine)
);
CREATE INDEX farm_tickets_by_machine ON farm_tickets (machine, opened_at);

CREATE TABLE farm_ticket_notes (
    ticket BYTEA NOT NULL CHECK (length(ticket) = 16),
    n BIGINT NOT NULL,
    at BIGINT NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (ticket, n),
    FOREIGN KEY (ticket) REFERENCES farm_tickets (id)
);
