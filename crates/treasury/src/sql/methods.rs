//! Payments by other methods than our own addresses: what came, places to pay, what was given back, bank statements.

gruve_store::statements! {
    // Payments by other methods.
    INSERT_PAYMENT = "INSERT INTO treasury_payments (id, method, external, asset, amount, invoice,
        account, credit, taken, arrived_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9)";
    PAYMENT = "SELECT id, method, external, asset, amount, invoice, account, credit, taken, arrived_at
        FROM treasury_payments WHERE id = $1";
    PAYMENT_BY_NAME = "SELECT id, method, external, asset, amount, invoice, account, credit, taken,
        arrived_at FROM treasury_payments WHERE method = $1 AND external = $2";
    PAYMENTS_OF = "SELECT id, method, external, asset, amount, invoice, account, credit, taken,
        arrived_at FROM treasury_payments WHERE account = $1 ORDER BY arrived_at DESC, id DESC
        LIMIT 200";
    PAYMENTS_BEFORE = "SELECT id, method, external, asset, amount, invoice, account, credit, taken,
        arrived_at FROM treasury_payments WHERE account = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    MATCH_PAYMENT = "UPDATE treasury_payments SET invoice = $2, account = $3, credit = $4
        WHERE id = $1 AND account IS NULL AND taken = 0";
    TAKE_BACK = "UPDATE treasury_payments SET taken = $3 WHERE id = $1 AND taken = $2";
    TAKING = "SELECT amount FROM treasury_takings WHERE payment = $1 AND event = $2";
    INSERT_TAKING = "INSERT INTO treasury_takings (payment, event, amount, taken_at)
        VALUES ($1, $2, $3, $4)";

    DELETE_TAKING = "DELETE FROM treasury_takings WHERE payment = $1 AND event = $2";
    TAKEN_SO_FAR = "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) AS minor FROM treasury_takings
        WHERE payment = $1 AND event LIKE $2";

    // Places to pay at other services.
    INSERT_CHECKOUT = "INSERT INTO treasury_checkouts (method, external, invoice, attempt, url,
        state, came, opened_at, look_at) VALUES ($1, $2, $3, $4, $5, 'open', 0, $6, $7)
        ON CONFLICT DO NOTHING";
    CHECKOUTS_OF = "SELECT external, url, state, opened_at FROM treasury_checkouts
        WHERE method = $1 AND invoice = $2 ORDER BY attempt";
    CHECKOUT = "SELECT invoice, state, came, opened_at FROM treasury_checkouts
        WHERE method = $1 AND external = $2";
    CHECKOUTS_DUE = "SELECT method, external, opened_at FROM treasury_checkouts
        WHERE state = 'open' AND look_at <= $1 ORDER BY look_at LIMIT $2";
    LOOK_LATER = "UPDATE treasury_checkouts SET look_at = $3, state = $4
        WHERE method = $1 AND external = $2 AND state = 'open'";
    COUNT_CHECKOUT = "UPDATE treasury_checkouts SET came = $4, state = $5, look_at = $6
        WHERE method = $1 AND external = $2 AND came = $3";
    HEARD = "SELECT heard_at FROM treasury_heard WHERE method = $1 AND event = $2";
    HEAR = "INSERT INTO treasury_heard (method, event, heard_at) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING";
    FORGET_HEARD = "DELETE FROM treasury_heard WHERE heard_at < $1";
    OPEN_DISPUTE = "INSERT INTO treasury_disputes (external, payment, account, asset, amount, state,
        opened_at, looked_at) VALUES ($1, $2, $3, $4, $5, 'open', $6, $6) ON CONFLICT DO NOTHING";
    DISPUTE = "SELECT state FROM treasury_disputes WHERE external = $1";
    /// Those that are open and were not looked at since a moment.
    DISPUTES_DUE = "SELECT external FROM treasury_disputes WHERE state = 'open' AND looked_at < $1
        ORDER BY looked_at, external LIMIT $2";
    DISPUTE_LOOKED_AT = "UPDATE treasury_disputes SET looked_at = $2 WHERE external = $1";
    CLOSE_DISPUTE = "UPDATE treasury_disputes SET state = $2, closed_at = $3
        WHERE external = $1 AND state = 'open'";
    OWE_DISPUTE = "UPDATE treasury_disputes SET state = 'owing' WHERE external = $1 AND state = 'lost'";
    RELEASE_DISPUTES = "UPDATE treasury_disputes SET state = 'lost'
        WHERE account = $1 AND state = 'owing'";
    DISPUTED = "SELECT external FROM treasury_disputes
        WHERE account = $1 AND state IN ('open', 'owing') LIMIT 1";
    /// What is planned and not signed goes no further, either.
    DISPUTED_IN_BATCH = "SELECT 1 AS one FROM treasury_payouts p
        JOIN treasury_disputes d ON d.account = p.account
        WHERE p.batch = $1 AND d.state IN ('open', 'owing') LIMIT 1";
    /// The invoice that a payment paid for: one that came after its closing paid for nothing of it.
    PAID_WITH = "SELECT i.id AS id FROM treasury_payments p JOIN treasury_invoices i ON i.id = p.invoice
        WHERE p.id = $1 AND (i.closed_at IS NULL OR p.arrived_at <= i.closed_at)";
    INSERT_REFUND = "INSERT INTO treasury_refunds (id, payment, amount, state, reason, asked_at)
        VALUES ($1, $2, $3, 'asked', $4, $5)";
    REFUNDS_ASKED = "SELECT r.id, r.payment, r.amount, r.asked_at, p.external, p.asset FROM treasury_refunds r
        JOIN treasury_payments p ON p.id = r.payment WHERE r.state = 'asked'
        ORDER BY r.asked_at LIMIT $1";
    REFUND = "SELECT r.payment, r.amount, p.asset FROM treasury_refunds r
        JOIN treasury_payments p ON p.id = r.payment WHERE r.id = $1";
    /// Also one whose answer has not come yet: asked again by its key, the service would say what it said at first.
    FAIL_REFUND = "UPDATE treasury_refunds SET state = 'refused'
        WHERE id = $1 AND state IN ('asked', 'done')";
    END_REFUND = "UPDATE treasury_refunds SET state = $2 WHERE id = $1 AND state = 'asked'";

    // Bank statements.
    BANK_FILE = "SELECT imported_at FROM treasury_bank_files WHERE hash = $1";
    INSERT_BANK_FILE = "INSERT INTO treasury_bank_files (hash, name, entries, imported_at)
        VALUES ($1, $2, $3, $4) ON CONFLICT (hash) DO NOTHING";
    BANK_FILES = "SELECT hash, name, entries, imported_at FROM treasury_bank_files
        ORDER BY imported_at DESC, hash LIMIT 50";
    BANK_ENTRIES_ALIKE = "SELECT id, own_ref, content, statement, number FROM treasury_bank_entries
        WHERE bank = $1 AND (content = $2 OR own_ref = $3)";
    INSERT_BANK_ENTRY = "INSERT INTO treasury_bank_entries (id, bank, statement, own_ref, content,
        number, place, asset, amount, booked_on, payer, payer_account, note, state, reason, payment,
        arrived_at, decided_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, NULL)";
    BANK_ENTRY = "SELECT id, bank, statement, own_ref, asset, amount, booked_on, payer,
        payer_account, note, state, reason, payment, arrived_at, at_start FROM treasury_bank_entries
        WHERE id = $1";
    BANK_ENTRIES_WAITING = "SELECT id, bank, statement, own_ref, asset, amount, booked_on, payer,
        payer_account, note, state, reason, payment, arrived_at FROM treasury_bank_entries
        WHERE state = 'waiting' ORDER BY arrived_at, place, id LIMIT $1";
    BANK_ENTRIES_AFTER = "SELECT id, bank, statement, own_ref, asset, amount, booked_on, payer,
        payer_account, note, state, reason, payment, arrived_at FROM treasury_bank_entries
        WHERE state = 'waiting' AND id > $1 ORDER BY id LIMIT $2";
    COUNT_BANK_WAITING = "SELECT COUNT(*) AS n FROM treasury_bank_entries WHERE state = 'waiting'";
    DECIDE_BANK_ENTRY = "UPDATE treasury_bank_entries
        SET state = $2, payment = $3, reason = $4, decided_at = $5
        WHERE id = $1 AND state = 'waiting'";
    OPEN_INVOICES_OF = "SELECT id FROM treasury_invoices
        WHERE asset = $1 AND amount > $2 AND amount <= $3 AND closed_at IS NULL
        ORDER BY created_at LIMIT 5";
    /// What the house had at the bank before stays what it was when the statement was first given.
    PUT_BANK_STATEMENT = "INSERT INTO treasury_bank_statements (bank, statement, asset, opening,
        opened_on, closing, closed_on, books, read_at, known, may_begin)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (bank, statement, closed_on) DO UPDATE SET opening = $4, opened_on = $5,
        closing = $6, known = treasury_bank_statements.known + $10,
        may_begin = CASE WHEN treasury_bank_statements.may_begin = 1 THEN 1 ELSE $11 END";
    BANK_BOOKS_BEFORE = "SELECT books FROM treasury_bank_statements WHERE bank = $1 AND asset = $2 LIMIT 1";
    BANK_STATEMENT_AROUND = "SELECT 1 AS one FROM treasury_bank_statements
        WHERE bank = $1 AND asset = $2 AND opened_on <= $3 AND closed_on >= $4
        AND (statement <> $5 OR closed_on <> $4) LIMIT 1";
    BANK_STATEMENTS = "SELECT statement, opening, opened_on, closing, closed_on, books,
        known, may_begin FROM treasury_bank_statements WHERE bank = $1 AND asset = $2
        ORDER BY closed_on, opened_on, read_at, statement LIMIT $3";
    BANK_UNDECIDED = "SELECT COUNT(*) AS n, CAST(COALESCE(SUM(amount), 0) AS BIGINT) AS minor
        FROM treasury_bank_entries
        WHERE bank = $1 AND asset = $2 AND state = 'waiting' AND payment IS NULL";
    BANK_DOUBTS = "SELECT amount FROM treasury_bank_entries
        WHERE bank = $1 AND asset = $2 AND state = 'waiting' AND payment IS NULL
        AND reason IN ($3, $4, $5) ORDER BY id LIMIT $6";
    /// What was taken before the first statement that says its balances, booked or to be booked.
    MARK_AT_START = "UPDATE treasury_bank_entries SET at_start = 1
        WHERE bank = $1 AND asset = $2 AND state <> 'dismissed'";
    BANK_AT_START = "SELECT 1 AS one FROM treasury_bank_entries
        WHERE bank = $1 AND asset = $2 AND at_start = 1 LIMIT 1";
    ENTRY_AT_START = "SELECT amount FROM treasury_bank_entries
        WHERE id = $1 AND asset = $2 AND at_start = 1";
    UNMARK_AT_START = "UPDATE treasury_bank_entries SET at_start = 0 WHERE id = $1";
    MOVE_BANK_START = "UPDATE treasury_bank_statements SET books = books + $3
        WHERE bank = $1 AND asset = $2";
    /// Of what was sent back when the books let it go at once, one of so much.
    FIND_SENT_AT_ONCE = "UPDATE treasury_bank_entries SET state = 'sent-back' WHERE id =
        (SELECT id FROM treasury_bank_entries WHERE bank = $1 AND asset = $2 AND amount = $3
        AND state = 'sent-back-at-once' ORDER BY id LIMIT 1)";
}
