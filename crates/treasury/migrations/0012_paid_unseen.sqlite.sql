-- Payouts that a transaction may have made which a block showed while the house caught up, and which spends no coin that is known as
-- the house's: they wait until a person has judged the transaction, and nothing else does.
CREATE TABLE treasury_paid_unseen (
    asset TEXT NOT NULL,
    txid BLOB NOT NULL,
    payout BLOB NOT NULL CHECK (length(payout) = 16),
    PRIMARY KEY (asset, txid, payout)
) STRICT;
CREATE INDEX treasury_paid_unseen_by_payout ON treasury_paid_unseen (payout);
