-- What customers put into the leaves of their contracts, so that two of them cannot be shown one leaf.
CREATE TABLE market_nonces (
  contract BYTEA NOT NULL PRIMARY KEY,
  lane TEXT NOT NULL,
  nonce BYTEA NOT NULL
);
CREATE INDEX market_nonces_lane ON market_nonces (lane, contract);
