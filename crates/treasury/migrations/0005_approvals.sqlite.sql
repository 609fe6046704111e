-- Who has approved which payout: a person counts once.
CREATE TABLE treasury_approvals (
    payout BLOB NOT NULL REFERENCES treasury_payouts (id),
    approver TEXT NOT NULL,
    approved_at INTEGER NOT NULL,
    PRIMARY KEY (payout, approver)
) STRICT;
CREATE INDEX treasury_payouts_by_day ON treasury_payouts (asset, created_at);
