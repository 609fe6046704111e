CREATE TABLE farm_sites (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- Machines of the house and of customers in its sites, and those that customers run elsewhere, which
-- have no site. The owner is 'house' or an account's id.
CREATE TABLE farm_machines (
    id BYTEA NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    site BYTEA REFERENCES farm_sites (id),
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    lane TEXT NOT NULL,
    nameplate BYTEA NOT NULL CHECK (length(nameplate) = 16),
    created_at BIGINT NOT NULL,
    UNIQUE (owner, name, lane),
    UNIQUE (site, name)
);
