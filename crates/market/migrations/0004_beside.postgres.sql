-- Blocks that paid their finder in the coinbase itself: what the house got of them is its fee, and nobody else has a part of it.
CREATE TABLE market_beside (
  asset TEXT NOT NULL,
  block_hash BYTEA NOT NULL,
  lane TEXT NOT NULL,
  PRIMARY KEY (asset, block_hash)
);
