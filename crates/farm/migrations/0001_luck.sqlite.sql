-- What miners' work should have found, what it found, and how good its hashes were: from all shares counted, per lane.
-- A miner is a machine ("m:" and its id) or everything of one owner ("o:house", "o:" and an account's id).
CREATE TABLE farm_luck (
  lane TEXT NOT NULL,
  miner TEXT NOT NULL,
  expected BLOB NOT NULL,
  found INTEGER NOT NULL,
  tail BLOB NOT NULL,
  PRIMARY KEY (lane, miner)
) STRICT;
