-- Accounts that wait for their address to be confirmed are looked for often, and are few.
CREATE INDEX accounts_accounts_unconfirmed ON accounts_accounts (unconfirmed_since)
    WHERE unconfirmed_since IS NOT NULL;
