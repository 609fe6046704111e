//! Whether a migration says the same to both engines.
//!
//! The two texts are read as words. Comments and spacing do not count; `INTEGER` and `BIGINT`, `BLOB`
//! and `BYTEA` are the same; `STRICT` and `WITHOUT ROWID` after a table are `SQLite`'s alone. Tables,
//! columns, constraints and indexes must then be word for word the same, in the same order. Of
//! triggers, which the engines write differently, the names must agree. Two things `PostgreSQL` may do
//! alone: drop a constraint for a trigger of the same name, which asks the same once for a statement,
//! and say how full a table's pages become.

use super::Migration;

/// Checks that a migration makes the same tables, columns, constraints and indexes on both engines.
///
/// # Errors
/// The first difference, in words.
pub fn matches_on_both_engines(m: &Migration) -> Result<(), String> {
    let (sqlite, postgres) = (statements(m.sqlite), without_replaced(statements(m.postgres)));
    for (a, b) in sqlite.iter().zip(&postgres) {
        if a != b {
            let at = a.iter().zip(b).take_while(|(x, y)| x == y).count();
            let from = |s: &[String]| {
                s[at.saturating_sub(4)..].iter().take(10).cloned().collect::<Vec<_>>().join(" ")
            };
            return Err(format!(
                "{:04}_{}: SQLite has “… {} …” where PostgreSQL has “… {} …”",
                m.number,
                m.name,
                from(a),
                from(b)
            ));
        }
    }
    if sqlite.len() != postgres.len() {
        let (more, engine) = if sqlite.len() > postgres.len() {
            (&sqlite, "SQLite")
        } else {
            (&postgres, "PostgreSQL")
        };
        let first = &more[sqlite.len().min(postgres.len())];
        return Err(format!("{:04}_{}: only {engine} has “{}”", m.number, m.name, first.join(" ")));
    }
    Ok(())
}

/// The statements of a script in the form in which they are compared.
fn statements(script: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut current: Vec<String> = Vec::new();
    // Words that open and close inside a trigger's body on SQLite, where `;` ends no statement.
    let mut depth = 0_usize;
    for word in words(script) {
        let in_trigger = current.len() > 1 && current[0] == "create" && current[1] == "trigger";
        match word.as_str() {
            "begin" | "case" if in_trigger => depth += 1,
            "end" if in_trigger => depth = depth.saturating_sub(1),
            ";" if depth == 0 => {
                all.extend(comparable(std::mem::take(&mut current)));
                continue;
            }
            _ => {}
        }
        current.push(word);
    }
    all.extend(comparable(current));
    all
}

/// Without pairs of a constraint that is dropped and the trigger of its name that follows.
fn without_replaced(all: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let mut rest = Vec::with_capacity(all.len());
    let mut all = all.into_iter().peekable();
    while let Some(statement) = all.next() {
        let words: Vec<&str> = statement.iter().map(String::as_str).collect();
        if let ["alter", "table", _, "drop", "constraint", name] = words[..]
            && all.next_if(|next| *next == ["create", "trigger", name]).is_some()
        {
            continue;
        }
        rest.push(statement);
    }
    rest
}

fn comparable(mut statement: Vec<String>) -> Option<Vec<String>> {
    let opens = |s: &[String], with: &[&str]| {
        s.len() >= with.len() && s.iter().zip(with).all(|(a, b)| a == b)
    };
    // The functions that PostgreSQL's triggers call have no counterpart.
    if statement.is_empty()
        || opens(&statement, &["create", "function"])
        || opens(&statement, &["create", "or"])
    {
        return None;
    }
    let words: Vec<&str> = statement.iter().map(String::as_str).collect();
    if let ["alter", "table", _, "set", "(", "fillfactor", "=", _, ")"] = words[..] {
        return None;
    }
    if opens(&statement, &["create", "trigger"]) {
        statement.truncate(3);
        return Some(statement);
    }
    if opens(&statement, &["create", "table"])
        && let Some(close) = statement.iter().rposition(|w| w == ")")
    {
        let mut tail = statement[close + 1..].iter();
        if tail.all(|w| ["strict", "without", "rowid", ","].contains(&w.as_str())) {
            statement.truncate(close + 1);
        }
    }
    for word in &mut statement {
        match word.as_str() {
            "bigint" => *word = "integer".to_owned(),
            "bytea" => *word = "blob".to_owned(),
            _ => {}
        }
    }
    Some(statement)
}

/// The words of a script: names and numbers in lower case, quoted text as it stands, other
/// characters one by one.
fn words(script: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = script;
    while let Some(c) = rest.chars().next() {
        let taken = if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
            continue;
        } else if rest.starts_with("--") {
            rest = rest.find('\n').map_or("", |at| &rest[at..]);
            continue;
        } else if let Some(body) = rest.strip_prefix("$$") {
            // A function's body, ignored together with its function.
            body.find("$$").map_or(rest.len(), |at| at + 4)
        } else if c == '\'' {
            rest[1..].find('\'').map_or(rest.len(), |at| at + 2)
        } else if c.is_ascii_alphanumeric() || c == '_' {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else {
            c.len_utf8()
        };
        let word = &rest[..taken];
        out.push(if c == '\'' { word.to_owned() } else { word.to_ascii_lowercase() });
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(sqlite: &'static str, postgres: &'static str) -> Result<(), String> {
        matches_on_both_engines(&Migration { number: 1, name: "t", sqlite, postgres })
    }

    #[test]
    fn types_spacing_and_comments_do_not_count() {
        pair(
            "CREATE TABLE t (a INTEGER NOT NULL, b BLOB, PRIMARY KEY (a)) STRICT, WITHOUT ROWID; -- x",
            "create table t(\n a BIGINT NOT NULL, b BYTEA, PRIMARY KEY (a) );\n",
        )
        .unwrap();
    }

    #[test]
    fn triggers_match_by_name_and_their_functions_are_passed_over() {
        let sqlite = "CREATE TABLE t (a INTEGER) STRICT;
            CREATE TRIGGER t_kept BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'kept'); END;";
        let postgres = "CREATE TABLE t (a BIGINT);
            CREATE FUNCTION t_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'kept'; END $$;
            CREATE TRIGGER t_kept BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION t_refuse();";
        pair(sqlite, postgres).unwrap();
        pair(sqlite, "CREATE TABLE t (a BIGINT);").unwrap_err();
    }

    #[test]
    fn a_constraint_may_become_a_trigger_of_its_name_and_no_other() {
        let replaced = "ALTER TABLE t DROP CONSTRAINT t_a_fkey;
            CREATE FUNCTION ask() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
            CREATE TRIGGER t_a_fkey AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION ask();";
        pair("-- Nothing.", replaced).unwrap();
        pair("-- Nothing.", "ALTER TABLE t DROP CONSTRAINT t_a_fkey;").unwrap_err();
        let other = "ALTER TABLE t DROP CONSTRAINT t_a_fkey;
            CREATE TRIGGER t_b_fkey AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION ask();";
        pair("-- Nothing.", other).unwrap_err();
    }

    #[test]
    fn how_full_pages_become_may_be_said_to_one_and_nothing_else_with_it() {
        pair("-- Nothing.", "ALTER TABLE t SET (fillfactor = 50);").unwrap();
        for more in ["(fillfactor = 50, user_catalog_table = true)", "(autovacuum_enabled = false)"]
        {
            let postgres = format!("ALTER TABLE t SET {more};").leak();
            pair("-- Nothing.", postgres).unwrap_err();
        }
    }

    #[test]
    fn a_column_index_or_check_on_one_engine_only_is_told() {
        assert!(
            pair("CREATE TABLE t (a INTEGER, b TEXT) STRICT;", "CREATE TABLE t (a BIGINT);")
                .is_err()
        );
        assert!(
            pair(
                "CREATE TABLE t (a INTEGER) STRICT; CREATE INDEX i ON t (a);",
                "CREATE TABLE t (a BIGINT);"
            )
            .is_err()
        );
        assert!(
            pair(
                "CREATE TABLE t (a INTEGER CHECK (a > 0)) STRICT;",
                "CREATE TABLE t (a BIGINT CHECK (a > 1));"
            )
            .is_err()
        );
        assert!(
            pair(
                "CREATE TABLE t (a TEXT DEFAULT 'X') STRICT;",
                "CREATE TABLE t (a TEXT DEFAULT 'x');"
            )
            .is_err()
        );
    }
}
