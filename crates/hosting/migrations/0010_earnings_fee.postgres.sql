-- What the operator keeps of a machine's earnings at most, as agreed in the terms; NULL in contracts from before it was.
ALTER TABLE hosting_contracts ADD COLUMN earnings_fee_bps BIGINT;
