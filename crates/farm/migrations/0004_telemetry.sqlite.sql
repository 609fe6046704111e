-- The agent of a site: by the hash of its token it is known, by the number of its next sample what it has
-- sent already is told from what is new.
CREATE TABLE farm_agents (
    site BLOB NOT NULL PRIMARY KEY CHECK (length(site) = 16),
    token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    next_sample INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    seen_at INTEGER,
    FOREIGN KEY (site) REFERENCES farm_sites (id)
) STRICT;

-- What the operator states of a site's electricity.
CREATE TABLE farm_site_power (
    site BLOB NOT NULL PRIMARY KEY CHECK (length(site) = 16),
    co2_g_per_kwh INTEGER NOT NULL,
    price_asset TEXT NOT NULL,
    price_minor_per_kwh INTEGER NOT NULL,
    source TEXT NOT NULL,
    FOREIGN KEY (site) REFERENCES farm_sites (id)
) STRICT;

-- A machine's newest reading.
CREATE TABLE farm_readings (
    machine BLOB NOT NULL PRIMARY KEY CHECK (length(machine) = 16),
    at INTEGER NOT NULL,
    hashrate BLOB CHECK (length(hashrate) = 16),
    watts INTEGER,
    temperature_c INTEGER,
    fans_rpm TEXT NOT NULL,
    uptime_s INTEGER,
    restarts INTEGER NOT NULL,
    fault TEXT,
    FOREIGN KEY (machine) REFERENCES farm_inventory (machine)
) STRICT;

-- What an epoch of a machine was by its own readings. Energy in microjoules (watts times microseconds).
CREATE TABLE farm_energy (
    machine BLOB NOT NULL CHECK (length(machine) = 16),
    epoch INTEGER NOT NULL,
    lane TEXT NOT NULL,
    site BLOB NOT NULL CHECK (length(site) = 16),
    owner TEXT NOT NULL,
    energy_uj INTEGER NOT NULL CHECK (energy_uj >= 0),
    billed_uj INTEGER NOT NULL CHECK (billed_uj >= 0),
    power_us INTEGER NOT NULL,
    claimed BLOB NOT NULL CHECK (length(claimed) = 16),
    claimed_us INTEGER NOT NULL,
    down_us INTEGER NOT NULL,
    PRIMARY KEY (machine, epoch),
    FOREIGN KEY (machine) REFERENCES farm_inventory (machine)
) STRICT;
CREATE INDEX farm_energy_by_epoch ON farm_energy (lane, epoch);

-- What a machine's shares of an epoch prove.
CREATE TABLE farm_proven (
    machine BLOB NOT NULL CHECK (length(machine) = 16),
    epoch INTEGER NOT NULL,
    lane TEXT NOT NULL,
    owner TEXT NOT NULL,
    shares INTEGER NOT NULL,
    work BLOB NOT NULL CHECK (length(work) = 16),
    squares BLOB NOT NULL CHECK (length(squares) = 32),
    largest INTEGER NOT NULL,
    PRIMARY KEY (machine, epoch)
) STRICT;
CREATE INDEX farm_proven_by_epoch ON farm_proven (lane, epoch);

-- How far a lane's share log is counted machine by machine, and the last epoch that is whole.
CREATE TABLE farm_proven_lanes (
    lane TEXT NOT NULL PRIMARY KEY,
    segment INTEGER NOT NULL,
    place INTEGER NOT NULL,
    sealed INTEGER
) STRICT;
