-- Plans that were made, changed or withdrawn while the house ran; each goes before the file's plan of that name.
CREATE TABLE market_offers (
  plan TEXT NOT NULL PRIMARY KEY,
  body BLOB NOT NULL,
  is_withdrawn INTEGER NOT NULL,
  changed_at INTEGER NOT NULL
) STRICT;
