//! What the script that checks receipts says. It stands here so that it is said in the visitor's language:
//! the page hands the sentences to the script, which is English without them.

use crate::words::t;
use std::collections::BTreeMap;

/// The script's sentences, as they stand in it.
const SENTENCES: [&str; 49] = [
    "a field is not hexadecimal",
    "a field has another length than it must",
    "not base64",
    "base64 in another than its one form",
    "a number that does not fit",
    "not a whole number",
    "not an id",
    "the entry is cut short",
    "not an epoch's entry",
    "bytes follow the entry",
    "a place outside the tree",
    "too many siblings",
    "siblings are missing",
    "a sum that does not fit",
    "not an Ed25519 key of the form name+hash+base64",
    "a key whose hash is another",
    "not a signed note",
    "not a checkpoint",
    "not a signature line",
    "a signature that is not the operator's",
    "the operator's key has not signed this head",
    "a receipt of an unknown form",
    "the receipt of another log",
    "the epoch is not in the log that was signed",
    "the contract is not in the epoch's sold tree with this rate, work and money",
    "the log is too long for a page; use gruve verify",
    "a tile of another size",
    "the public log has another name",
    "the public log is shorter now than when the receipt was made: its history was cut",
    "the public log's tiles are not what its checkpoint signs",
    "the public log has another history than the receipt was made of",
    "Checking…",
    "This is not a receipt: it cannot be read.",
    "There is no receipt to check.",
    "no key of the operator's is given",
    "the receipt is not of its form",
    "Contract {contract}: {why}",
    "Compared with the public log as it is now: {size} entries, the same history.",
    "Not compared with the public log as it is now: it cannot be reached. Everything else was checked.",
    "Contract {contract} got {got} of {entitled} hashes that it had a claim on, in epoch {epoch} of lane {lane} (proven work; contracts in all: {contracts}); {owed} are still owed.",
    "Contract {contract} got {got} of {entitled} hashes that it had a claim on, in epoch {epoch} of lane {lane} (unproven work; contracts in all: {contracts}); {owed} are still owed.",
    "and {n} more.",
    "Contract {contract}: in epoch {epoch} its rate makes {whole} hashes, and it had a claim on {entitled}. That is so in its first and last epoch and in a pause; ask why it was so then.",
    "Contract {contract}: there are epochs of lane {lane} between {first} and {last}, and no receipt of them is here; ask whether it was in their sold trees.",
    "Contract {contract}: in epoch {epoch} it got {got} hashes, and what is owed fell from {before} to {after}; ask what was refunded.",
    "Yes: {n} receipt holds.",
    "Yes: {n} receipts hold.",
    "this browser cannot check it ({why})",
    "No: {why}",
];

/// The sentences in the spoken language, as the script reads them.
pub(crate) fn words() -> String {
    let said: BTreeMap<_, _> = SENTENCES.iter().map(|english| (*english, t(english))).collect();
    serde_json::json!(said).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::all;

    /// The last thing in quotes on a line.
    fn quoted(line: &str) -> Option<&str> {
        let (rest, _) = line.rsplit_once('"')?;
        rest.rsplit_once('"').map(|(_, text)| text)
    }

    #[test]
    fn every_sentence_of_the_script_is_here_and_in_every_language() {
        let script = include_str!("../../assets/receipt.js");
        for english in SENTENCES {
            assert!(
                script.contains(&format!("\"{english}\"")),
                "the script does not say {english:?}"
            );
        }
        let whys = script.lines().filter(|l| l.contains("need(") && l.trim_end().ends_with("\");"));
        let whys: Vec<_> = whys.filter_map(quoted).collect();
        assert!(whys.len() > 20);
        for why in whys {
            assert!(SENTENCES.contains(&why), "{why:?} is said by the script alone");
        }
        for (_, rest) in script.match_indices("say(\"").map(|(at, m)| script.split_at(at + m.len()))
        {
            let said = rest.split('"').next().unwrap();
            assert!(SENTENCES.contains(&said), "{said:?} is said by the script alone");
        }
        for language in all().iter().skip(1) {
            let known: Vec<_> =
                language.entries().into_iter().map(|(english, _)| english).collect();
            let missing: Vec<_> = SENTENCES.iter().filter(|s| !known.contains(s)).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", language.code);
        }
    }
}
