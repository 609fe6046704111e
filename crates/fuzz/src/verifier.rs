//! A published folder under a liar's hands, who has every key but the operator's.
//!
//! What must hold: no panic; the verifier says *yes* only of files that are the operator's own, byte for byte. The input is a
//! folder as one piece: for each file its name's length (1) and name, its length (4) and bytes.

use gruve_proof::verify::{Options, Source, verify};
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

/// An honest operator's folder: three epochs of some shares (`crates/proof/tests/world` made it).
const HONEST: &[u8] = include_bytes!("../../../testdata/fuzz/verifier/honest");

/// A folder in memory.
struct Folder(BTreeMap<String, Vec<u8>>);

impl Source for Folder {
    fn open(&self, path: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        let bytes = self.0.get(path).cloned();
        Ok(bytes.map(|b| Box::new(Cursor::new(b)) as Box<dyn Read + Send>))
    }

    fn list(&self, _: u64) -> io::Result<Option<Vec<String>>> {
        Ok(Some(self.0.keys().cloned().collect()))
    }
}

fn folder(mut bytes: &[u8]) -> Folder {
    let mut all = BTreeMap::new();
    while let Some((name, rest)) = take_name(bytes) {
        let Some((len, rest)) = rest.split_first_chunk::<4>() else { break };
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap().min(rest.len());
        let (content, rest) = rest.split_at(len);
        all.insert(name, content.to_vec());
        bytes = rest;
    }
    Folder(all)
}

fn take_name(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (len, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((String::from_utf8_lossy(name).into_owned(), rest))
}

/// See the module.
pub fn run(data: &[u8]) {
    let honest = folder(HONEST);
    let given = folder(data);
    let options = Options { threads: 1, ..Options::default() };
    let said = verify(&given, &options, &mut |_| ());
    let is_honest = honest.0.iter().all(|(name, bytes)| given.0.get(name) == Some(bytes));
    // A file more may be refused for its name; without one, what is honest is taken.
    let is_more = given.0.len() > honest.0.len();
    let is_right = if said.is_ok() { is_honest } else { !is_honest || is_more };
    assert!(is_right, "{:?}", said.err().map(|e| e.to_string()));
}
