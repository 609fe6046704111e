//! Whether a password is easily guessed: made of what everybody tries first.
//!
//! A password is cut into pieces so that it counts least. What is common counts two characters however long it is: one of
//! the ten thousand most common passwords (also with `0` for `o` and the like), the name of the account, a year, a row of
//! keys, letters or digits, one character again and again. Any other character counts one. A password that is one piece
//! repeated counts as that piece. What counts less than [`COUNTED_MIN`] is refused.
//!
//! There are no rules of composition: a few unrelated words pass, whatever is in them.

use std::collections::HashSet;
use std::sync::LazyLock;

/// What a password must count at least: what eight characters count that are nowhere common.
pub(crate) const COUNTED_MIN: usize = 8;

/// What a common piece counts: guessers try some thousands of them, as many as there are pairs of characters.
const PIECE: usize = 2;

/// Characters looked at: what is not common within these is not, whatever follows.
const LOOKED_AT_MAX: usize = 64;

/// The longest of the common ones, in characters; longer windows need no look.
const COMMON_CHARS_MAX: usize = 18;

/// Characters of a run or row at least.
const ROW_MIN: usize = 3;

/// Rows that fingers know, forwards and backwards.
const ROWS: [&str; 6] = [
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv",
];

/// Where it is from: `data/README.md`.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("../data/common-passwords.txt").lines().collect());

/// Whether a password counts too little. `own` is what everybody knows of its account: name, address, the house's name.
pub(crate) fn is_guessable(password: &str, own: &[&str]) -> bool {
    counted(password, own) < COUNTED_MIN
}

/// What a password counts.
fn counted(password: &str, own: &[&str]) -> usize {
    let own: Vec<Vec<char>> = own
        .iter()
        .flat_map(|o| o.split(|c: char| !c.is_alphanumeric()))
        .map(|o| o.to_lowercase().chars().collect::<Vec<char>>())
        .filter(|o| o.len() >= ROW_MIN)
        .collect();
    let chars: Vec<char> = password.to_lowercase().chars().take(LOOKED_AT_MAX).collect();
    match period(&chars) {
        Some(unit) => least(&chars[..unit], &own),
        None => least(&chars, &own),
    }
}

/// The least that the characters count, over all ways to cut them.
fn least(chars: &[char], own: &[Vec<char>]) -> usize {
    let read: Vec<Vec<char>> = [plain, with_l, with_i]
        .iter()
        .map(|undo| chars.iter().copied().map(undo).collect())
        .collect();
    // What the first n characters count.
    let mut counts = vec![0];
    for end in 1..=chars.len() {
        let mut best = counts[end - 1] + 1;
        for (from, before) in counts.iter().enumerate().take(end.saturating_sub(ROW_MIN - 1)) {
            if before + PIECE < best && is_piece(&read, from, end, own) {
                best = before + PIECE;
            }
        }
        counts.push(best);
    }
    counts[chars.len()]
}

/// Whether some characters are something common, as they stand or as they are meant.
fn is_piece(read: &[Vec<char>], from: usize, end: usize, own: &[Vec<char>]) -> bool {
    let chars = &read[0][from..end];
    let is_run = chars.iter().all(|c| *c == chars[0]);
    let is_year = matches!(chars, ['1', '9', _, _] | ['2', '0', _, _])
        && chars.iter().all(char::is_ascii_digit);
    if is_run || is_year || is_row(chars) || own.iter().any(|o| o == chars) {
        return true;
    }
    if chars.len() > COMMON_CHARS_MAX {
        return false;
    }
    read.iter().any(|r| {
        let word: String = r[from..end].iter().collect();
        COMMON.contains(word.as_str())
    })
}

fn is_row(chars: &[char]) -> bool {
    let forwards: String = chars.iter().collect();
    let backwards: String = chars.iter().rev().collect();
    ROWS.iter().any(|row| row.contains(&forwards) || row.contains(&backwards))
}

/// The length of the piece of which all is made, if it stands there twice at least.
fn period(chars: &[char]) -> Option<usize> {
    (1..=chars.len() / 2).find(|p| chars.iter().skip(*p).zip(chars).all(|(a, b)| a == b))
}

fn plain(c: char) -> char {
    c
}

/// What a character stands for in the usual disguises, `1` and `!` for `l`.
fn with_l(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'l',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' | '+' => 't',
        other => other,
    }
}

/// The same with `1` and `!` for `i`.
fn with_i(c: char) -> char {
    match c {
        '1' | '!' => 'i',
        other => with_l(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_first_is_refused_however_it_is_dressed() {
        for bad in [
            "password1234",
            "P@ssw0rd2024!",
            "passwordpassword",
            "qwertyuiopasdf",
            "123456789012345",
            "aaaaaaaaaaaaaaaa",
            "abcabcabcabcabc",
            "iloveyou12345",
            "kari19852026",
            "nordmann2024!!",
            "gruvegruve2026",
            "zxcvbnm,123456",
            "9876543210987",
            "letmeinletmein1",
        ] {
            let own = ["kari", "kari.nordmann@example.org", "gruve"];
            assert!(is_guessable(bad, &own), "{bad} counts {}", counted(bad, &own));
        }
    }

    #[test]
    fn words_without_connection_and_random_characters_pass() {
        for good in [
            "four words make one",
            "correct horse battery staple",
            "correct horse",
            "пароль двенадцать",
            "xK4#vT9!mQ2z",
            "fjell-og-fjære i mars",
            "8fd0b3a917c2",
        ] {
            assert!(!is_guessable(good, &["kari"]), "{good} counts {}", counted(good, &["kari"]));
        }
    }

    #[test]
    fn what_is_common_counts_two_whatever_its_length_and_the_least_way_to_cut_counts() {
        for (text, counts) in [
            ("", 0),
            ("kx", 2),
            ("password", 2),
            ("passwordx", 3),
            ("xpasswordx", 4),
            ("p4ssw0rd", 2),
            ("11111111", 1),
            ("kkkkkkkkx", 3),
            ("1984", 2),
            ("qwerty", 2),
            ("ytrewq", 2),
            ("dragonmonkey", 4),
        ] {
            assert_eq!(counted(text, &[]), counts, "{text}");
        }
        assert_eq!(counted("anna.berg", &["anna", "a.berg@x.no"]), 5);
    }

    #[test]
    fn a_long_one_costs_no_more_than_its_first_characters() {
        let long: String = "fjell".chars().chain(std::iter::repeat_n('x', 1_000_000)).collect();
        assert_eq!(counted(&long, &[]), 7);
    }

    #[test]
    fn the_list_is_whole_and_its_longest_is_within_the_window() {
        assert_eq!(COMMON.len(), 10_000);
        assert_eq!(COMMON.iter().map(|w| w.chars().count()).max(), Some(COMMON_CHARS_MAX));
        assert!(COMMON.iter().all(|w| *w == w.to_lowercase()));
    }
}
