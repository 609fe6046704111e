-- What holders of contracts say of a plan: one a contract. What was said first and what the operator hid stays.
CREATE TABLE web_reviews (
    contract BLOB NOT NULL PRIMARY KEY CHECK (length(contract) = 16),
    account BLOB NOT NULL CHECK (length(account) = 16),
    plan TEXT NOT NULL,
    stars INTEGER NOT NULL CHECK (stars BETWEEN 1 AND 5),
    body TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    answer TEXT,
    answered_at INTEGER,
    hidden_for TEXT,
    hidden_at INTEGER
) STRICT;

CREATE INDEX web_reviews_of_plan ON web_reviews (plan, made_at);
