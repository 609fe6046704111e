-- That every posting has its entry is asked once for a statement: a key asks once for each of its rows, which was
-- more than half of what writing a thousand postings costs. An entry once written cannot go (see the first step).
ALTER TABLE ledger_postings DROP CONSTRAINT ledger_postings_seq_fkey;

CREATE FUNCTION ledger_ask_for_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM (SELECT DISTINCT seq FROM fresh) n
               WHERE NOT EXISTS (SELECT 1 FROM ledger_entries e WHERE e.seq = n.seq)) THEN
        RAISE foreign_key_violation USING
            MESSAGE = 'a posting without its entry', CONSTRAINT = 'ledger_postings_seq_fkey';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER ledger_postings_seq_fkey AFTER INSERT ON ledger_postings
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION ledger_ask_for_entries();
