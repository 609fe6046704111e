-- The public log: an entry for each lane and epoch, written by the transaction that closes the epoch. Its place in
-- the log is given afterwards, by whoever publishes; entries without a lane are the log's own (head, changes of keys).
CREATE TABLE market_log (
  lane TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  seq INTEGER UNIQUE,
  entry BLOB NOT NULL,
  PRIMARY KEY (lane, epoch)
) STRICT;
CREATE INDEX market_log_waiting ON market_log (epoch, lane) WHERE seq IS NULL;
