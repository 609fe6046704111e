//! The log's files (C2SP tlog-tiles): tiles of 256 hashes, bundles of 256 entries.
//!
//! Pure: given all leaf hashes, the files that a size has; given bytes, the entries. A tile's level holds roots of full
//! subtrees only, so a partial tile is never hashed into the level above.

use crate::{Hash, merkle};

/// Hashes in a full tile, entries in a full bundle.
pub const WIDTH: u64 = 256;
/// Bytes of an entry at most: an epoch's summary has some hundreds.
pub const ENTRY_MAX: usize = 2_048;
/// Bytes of a bundle at most.
pub const BUNDLE_MAX: usize = 256 * (ENTRY_MAX + 2);
/// Entries of a log at most: a hundred lanes of ten minutes for three years; the verifier holds a hash for each.
pub const ENTRIES_MAX: u64 = 1 << 24;

/// A number in groups of three digits, all but the last marked: `x001/x234/067`.
fn number(n: u64) -> String {
    let mut text = format!("{:03}", n % 1_000);
    let mut rest = n / 1_000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1_000);
        rest /= 1_000;
    }
    text
}

/// The path of tile `n` of a level when it has `width` of its 256 hashes.
#[must_use]
pub fn tile_path(level: u32, n: u64, width: u64) -> String {
    with_width(format!("tile/{level}/{}", number(n)), width)
}

/// The path of entry bundle `n` when it has `width` of its 256 entries.
#[must_use]
pub fn bundle_path(n: u64, width: u64) -> String {
    with_width(format!("tile/entries/{}", number(n)), width)
}

fn with_width(path: String, width: u64) -> String {
    if width == WIDTH { path } else { format!("{path}.p/{width}") }
}

/// Number and width of every tile or bundle of `count` things.
#[must_use]
pub fn pieces(count: u64) -> Vec<(u64, u64)> {
    let full = (0..count / WIDTH).map(|n| (n, WIDTH));
    let part = (!count.is_multiple_of(WIDTH)).then_some((count / WIDTH, count % WIDTH));
    full.chain(part).collect()
}

/// Every tile over these leaf hashes that is not wholly among the first `known` leaves: path and bytes.
#[must_use]
pub fn tiles(leaves: &[Hash], known: u64) -> Vec<(String, Vec<u8>)> {
    let (mut level, mut hashes, mut known) = (0, leaves.to_vec(), known);
    let mut files = Vec::new();
    while !hashes.is_empty() {
        for (n, width) in pieces(hashes.len() as u64) {
            if n * WIDTH + width > known {
                let from = usize::try_from(n * WIDTH).unwrap_or(usize::MAX);
                let part = hashes.iter().skip(from).take(256);
                files.push((tile_path(level, n, width), part.flatten().copied().collect()));
            }
        }
        hashes = hashes.chunks_exact(256).map(merkle::root).collect();
        known /= WIDTH;
        level += 1;
    }
    files
}

/// The bytes of a bundle. Entries are at most [`ENTRY_MAX`] bytes long.
#[must_use]
pub fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        let entry = entry.as_ref();
        out.extend(u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend(entry);
    }
    out
}

/// The `width` entries of a bundle; `None` when it has others.
#[must_use]
pub fn decode_bundle(mut bytes: &[u8], width: u64) -> Option<Vec<Vec<u8>>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<2>()?;
        let len = usize::from(u16::from_be_bytes(*len));
        if len > ENTRY_MAX || entries.len() as u64 == width {
            return None;
        }
        let (entry, rest) = rest.split_at_checked(len)?;
        entries.push(entry.to_vec());
        bytes = rest;
    }
    (entries.len() as u64 == width).then_some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(tile_path(0, 1_234_067, WIDTH), "tile/0/x001/x234/067");
        assert_eq!(tile_path(1, 0, 17), "tile/1/000.p/17");
        assert_eq!(bundle_path(5, WIDTH), "tile/entries/005");
        assert_eq!(pieces(600), [(0, 256), (1, 256), (2, 88)]);
        assert_eq!(pieces(256), [(0, 256)]);
    }

    #[test]
    fn a_partial_tile_is_not_hashed_into_the_level_above() {
        let leaves: Vec<Hash> = (0..300u16).map(|n| [u8::try_from(n % 256).unwrap(); 32]).collect();
        let files = tiles(&leaves, 0);
        let paths: Vec<_> = files.iter().map(|(p, _)| p.as_str()).collect();
        assert_eq!(paths, ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"]);
        assert_eq!(files[2].1, merkle::root(&leaves[..256]));
        let later: Vec<_> = tiles(&leaves, 299).into_iter().map(|(p, _)| p).collect();
        assert_eq!(later, ["tile/0/001.p/44"]);
    }

    #[test]
    fn a_bundle_of_another_number_of_entries_is_refused() {
        let bytes = encode_bundle(&[b"one".as_slice(), b""]);
        assert_eq!(decode_bundle(&bytes, 2).unwrap(), [b"one".to_vec(), Vec::new()]);
        assert_eq!(decode_bundle(&bytes, 1), None);
        assert_eq!(decode_bundle(&bytes, 3), None);
        assert_eq!(decode_bundle(&bytes[..4], 1), None);
        assert_eq!(decode_bundle(&[0xff, 0xff, 0], 1), None);
        let (longest, longer) = ([0; ENTRY_MAX], [0; ENTRY_MAX + 1]);
        assert!(decode_bundle(&encode_bundle(&[longest]), 1).is_some());
        assert_eq!(decode_bundle(&encode_bundle(&[longer]), 1), None);
    }
}
