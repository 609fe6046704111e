-- Who has approved which payout: a person counts once.
CREATE TABLE treasury_approvals (
    payout BYTEA NOT NULL REFERENCES treasury_payouts (id),
    approver TEXT NOT NULL,
    approved_at BIGINT NOT NULL,
    PRIMARY KEY (payout, approver)
);
CREATE INDEX treasury_payouts_by_day ON treasury_payouts (asset, created_at);
