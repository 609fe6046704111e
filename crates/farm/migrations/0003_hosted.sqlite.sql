-- What is written on a machine and where it stands. Machines of the configuration have none of it until
-- they are taken into the inventory.
CREATE TABLE farm_inventory (
    machine BLOB NOT NULL PRIMARY KEY CHECK (length(machine) = 16),
    serial TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    rack TEXT NOT NULL,
    watts INTEGER NOT NULL CHECK (watts > 0),
    state TEXT NOT NULL,
    changed_at INTEGER NOT NULL,
    FOREIGN KEY (machine) REFERENCES farm_machines (id)
) STRICT;

-- From which epoch of its lane on a machine's work is whose: 'house' or an account's id. Without a row
-- it is the house's.
CREATE TABLE farm_owners (
    machine BLOB NOT NULL CHECK (length(machine) = 16),
    n INTEGER NOT NULL,
    from_epoch INTEGER NOT NULL,
    owner TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (machine, n),
    FOREIGN KEY (machine) REFERENCES farm_inventory (machine)
) STRICT;

CREATE TABLE farm_history (
    machine BLOB NOT NULL CHECK (length(machine) = 16),
    n INTEGER NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    PRIMARY KEY (machine, n),
    FOREIGN KEY (machine) REFERENCES farm_inventory (machine)
) STRICT;

CREATE TABLE farm_tickets (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    machine BLOB NOT NULL CHECK (length(machine) = 16),
    owner TEXT NOT NULL,
    title TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    FOREIGN KEY (machine) REFERENCES farm_inventory (machine)
) STRICT;
CREATE INDEX farm_tickets_by_machine ON farm_tickets (machine, opened_at);

CREATE TABLE farm_ticket_notes (
    ticket BLOB NOT NULL CHECK (length(ticket) = 16),
    n INTEGER NOT NULL,
    at INTEGER NOT NULL,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (ticket, n),
    FOREIGN KEY (ticket) REFERENCES farm_tickets (id)
) STRICT;
