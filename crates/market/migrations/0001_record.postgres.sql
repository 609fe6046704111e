-- The public log: an entry for each lane and epoch, written by the transaction that closes the epoch. Its place in
-- the log is given afterwards, by whoever publishes; entries without a lane are the log's own (head, changes of keys).
CREATE TABLE market_log (
  lane TEXT NOT NULL,
  epoch BIGINT NOT NULL,
  seq BIGINT UNIQUE,
  entry BYTEA NOT NULL,
  PRIMARY KEY (lane, epoch)
);
CREATE INDEX market_log_waiting ON market_log (epoch, lane) WHERE seq IS NULL;
