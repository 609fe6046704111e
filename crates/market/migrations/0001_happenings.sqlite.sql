-- What happened in a contract's life beside delivery, as the lines of its statement: written when it happens.
CREATE TABLE market_happenings (
  contract BLOB NOT NULL,
  number INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (contract, number)
) STRICT;

-- Epochs that a contract's clock stood still: one row for each pause, its last epoch so far, and how many were counted.
CREATE TABLE market_pauses (
  contract BLOB NOT NULL,
  from_epoch INTEGER NOT NULL,
  to_epoch INTEGER NOT NULL,
  epochs INTEGER NOT NULL,
  PRIMARY KEY (contract, from_epoch)
) STRICT;

-- In the closing of which epoch an epoch's FPPS work was priced.
CREATE TABLE market_fpps_priced (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  priced_epoch INTEGER NOT NULL,
  PRIMARY KEY (lane, asset, epoch)
) STRICT;

-- Settlements at which FPPS could not pay all that was due.
CREATE TABLE market_fpps_limits (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  due_minor INTEGER NOT NULL,
  there_minor INTEGER NOT NULL,
  PRIMARY KEY (lane, asset, epoch)
) STRICT;
