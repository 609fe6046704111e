-- What happened in a contract's life beside delivery, as the lines of its statement: written when it happens.
CREATE TABLE market_happenings (
  contract BYTEA NOT NULL,
  number BIGINT NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (contract, number)
);

-- Epochs that a contract's clock stood still: one row for each pause, its last epoch so far, and how many were counted.
CREATE TABLE market_pauses (
  contract BYTEA NOT NULL,
  from_epoch BIGINT NOT NULL,
  to_epoch BIGINT NOT NULL,
  epochs BIGINT NOT NULL,
  PRIMARY KEY (contract, from_epoch)
);

-- In the closing of which epoch an epoch's FPPS work was priced.
CREATE TABLE market_fpps_priced (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  priced_epoch BIGINT NOT NULL,
  PRIMARY KEY (lane, asset, epoch)
);

-- Settlements at which FPPS could not pay all that was due.
CREATE TABLE market_fpps_limits (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  due_minor BIGINT NOT NULL,
  there_minor BIGINT NOT NULL,
  PRIMARY KEY (lane, asset, epoch)
);
