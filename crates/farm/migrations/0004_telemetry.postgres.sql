-- The agent of a site: by the hash of its token it is known, by the number of its next sample what it has
-- sent already is told from what is new.
CREATE TABLE farm_agents (
    site BYTEA NOT NULL PRIMARY KEY CHECK (length(site) = 16),
    token_hash BYTEA NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    next_sample BIGINT NOT NULL,
    lost BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    seen_at BIGINT,
    FOREIGN KEY (site) REFERENCES farm_sites (id)
);

-- What the operator states of a site's electricity.
CREATE TABLE farm_site_power (
    site BYTEA NOT NULL PRIMARY KEY CHECK (length(site) = 16),
    co2_g_per_kwh BIGINT NOT NULL,
    price_asset TEXT NOT NULL,
    price_minor_per_kwh BIGINT NOT NULL,
    source TEXT NOT NULL,
    FOREIGN KEY (site) REFERENCES farm_sites (id)
);

-- A machine's newest reading.
CREATE TABLE farm_readings (
    machine BYTEA NOT NULL PRIMARY KEY CHECK (length(machine) = 16),
    at BIGINT NOT NULL,
    hashrate BYTEA CHECK (length(hashrate) = 16),
    watts BIGINT,
    temperature_c BIGINT,
    fans_rpm TEXT NOT NULL,
    uptime_s BIGINT,
    restarts BIGINT NOT NULL,
    fault TEXT,
    FOREIGN KEY (machine) REFERENCES farm_inventory (machine)
);

-- What an epoch of a machine was by its own readings. Energy in microjoules (watts times microseconds).
CREATE TABLE farm_energy (
    machine BYTEA NOT NULL CHECK (length(machine) = 16),
    epoch BIGINT NOT NULL,
    lane TEXT NOT NULL,
    site BYTEA NOT NULL CHECK (length(site) = 16),
    owner TEXT NOT NULL,
    energy_uj BIGINT NOT NULL CHECK (energy_uj >= 0),
    billed_uj BIGINT NOT NULL CHECK (billed_uj >= 0),
    power_us BIGINT NOT NULL,
    claimed BYTEA NOT NULL CHECK (length(claimed) = 16),
    claimed_us BIGINT NOT NULL,
    down_us BIGINT NOT NULL,
    PRIMARY KEY (machine, epoch),
    FOREIGN KEY (machine) REFERENCES farm_inventory (machine)
);
CREATE INDEX farm_energy_by_epoch ON farm_energy (lane, epoch);

-- What a machine's shares of an epoch prove.
CREATE TABLE farm_proven (
    machine BYTEA NOT NULL CHECK (length(machine) = 16),
    epoch BIGINT NOT NULL,
    lane TEXT NOT NULL,
    owner TEXT NOT NULL,
    shares BIGINT NOT NULL,
    work BYTEA NOT NULL CHECK (length(work) = 16),
    squares BYTEA NOT NULL CHECK (length(squares) = 32),
    largest BIGINT NOT NULL,
    PRIMARY KEY (machine, epoch)
);
CREATE INDEX farm_proven_by_epoch ON farm_proven (lane, epoch);

-- How far a lane's share log is counted machine by machine, and the last epoch that is whole.
CREATE TABLE farm_proven_lanes (
    lane TEXT NOT NULL PRIMARY KEY,
    segment BIGINT NOT NULL,
    place BIGINT NOT NULL,
    sealed BIGINT
);
