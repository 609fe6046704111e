-- Disputes about payments by which machines were bought or leased: open, won (the payment stands) or lost, and then how much
-- of it the balance no longer had.
CREATE TABLE hosting_disputes (
    contract BYTEA NOT NULL REFERENCES hosting_contracts (id),
    cause TEXT NOT NULL,
    state TEXT NOT NULL,
    lost_minor BIGINT NOT NULL CHECK (lost_minor >= 0),
    at BIGINT NOT NULL,
    PRIMARY KEY (contract, cause)
);
