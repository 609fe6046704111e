-- What a machine's epochs of a day were by its own readings, once they are too old to change: sums, to the microjoule.
CREATE TABLE farm_energy_days (
  machine BLOB NOT NULL CHECK (length(machine) = 16),
  day INTEGER NOT NULL,
  owner TEXT NOT NULL,
  lane TEXT NOT NULL,
  site BLOB NOT NULL CHECK (length(site) = 16),
  epochs INTEGER NOT NULL,
  energy_uj INTEGER NOT NULL,
  billed_uj INTEGER NOT NULL,
  power_us INTEGER NOT NULL,
  claimed_us INTEGER NOT NULL,
  down_us INTEGER NOT NULL,
  PRIMARY KEY (machine, day, owner)
) STRICT;

-- What the measured machines of the house drew in such epochs at a site, and the work that all of them proved.
CREATE TABLE farm_lane_days (
  lane TEXT NOT NULL,
  day INTEGER NOT NULL,
  site BLOB NOT NULL CHECK (length(site) = 16),
  energy_uj BLOB NOT NULL CHECK (length(energy_uj) = 16),
  PRIMARY KEY (lane, day, site)
) STRICT;

CREATE TABLE farm_lane_day_work (
  lane TEXT NOT NULL,
  day INTEGER NOT NULL,
  work BLOB NOT NULL CHECK (length(work) = 16),
  PRIMARY KEY (lane, day)
) STRICT;
