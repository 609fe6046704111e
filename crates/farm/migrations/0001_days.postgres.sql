-- What a machine's epochs of a day were by its own readings, once they are too old to change: sums, to the microjoule.
CREATE TABLE farm_energy_days (
  machine BYTEA NOT NULL CHECK (length(machine) = 16),
  day BIGINT NOT NULL,
  owner TEXT NOT NULL,
  lane TEXT NOT NULL,
  site BYTEA NOT NULL CHECK (length(site) = 16),
  epochs BIGINT NOT NULL,
  energy_uj BIGINT NOT NULL,
  billed_uj BIGINT NOT NULL,
  power_us BIGINT NOT NULL,
  claimed_us BIGINT NOT NULL,
  down_us BIGINT NOT NULL,
  PRIMARY KEY (machine, day, owner)
);

-- What the measured machines of the house drew in such epochs at a site, and the work that all of them proved.
CREATE TABLE farm_lane_days (
  lane TEXT NOT NULL,
  day BIGINT NOT NULL,
  site BYTEA NOT NULL CHECK (length(site) = 16),
  energy_uj BYTEA NOT NULL CHECK (length(energy_uj) = 16),
  PRIMARY KEY (lane, day, site)
);

CREATE TABLE farm_lane_day_work (
  lane TEXT NOT NULL,
  day BIGINT NOT NULL,
  work BYTEA NOT NULL CHECK (length(work) = 16),
  PRIMARY KEY (lane, day)
);
