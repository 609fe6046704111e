-- Coins of the same value are many where plans have one price: in the order in which they are chosen from, none is
-- looked at before its turn.
DROP INDEX treasury_utxos_unspent;
CREATE INDEX treasury_utxos_unspent ON treasury_utxos (asset, value, txid, vout)
    WHERE spent_height IS NULL;

-- Whether an account is disputed is asked of every payout that is planned.
CREATE INDEX treasury_disputes_by_account ON treasury_disputes (account);
