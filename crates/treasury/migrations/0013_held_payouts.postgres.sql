-- Until when a payout waits because it goes where nothing of its account has gone before.
ALTER TABLE treasury_payouts ADD COLUMN held_until BIGINT;
