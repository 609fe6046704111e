-- Everyone's part of a block that was shared out, some tens a row, in the order of kind and id; `first` is both of
-- the first one. What is reversed says the row of the block's life. `market_accruals` has those from before.
CREATE TABLE market_accrual_pages (
  asset TEXT NOT NULL,
  block_hash BLOB NOT NULL,
  generation INTEGER NOT NULL,
  first BLOB NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (asset, block_hash, generation, first)
) STRICT;
CREATE INDEX market_lives_lane ON market_lives (lane, before_epoch);

-- What came to standings since they were written last; see `bulk/pending.rs`.
CREATE TABLE market_pending (
  lane TEXT NOT NULL,
  asset TEXT NOT NULL,
  first BLOB NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (lane, asset, first)
) STRICT;
