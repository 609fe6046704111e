//! Roots of Merkle Patricia tries (yellow paper, appendix D), made from all their entries at once.
//!
//! Nothing is kept between two roots: a root of *n* entries costs some *n* hashes. That is right for a
//! block's transactions and for the development chain's accounts, and wrong for a whole chain's.

use super::{keccak256, rlp};

/// The root of no entries.
pub const EMPTY_ROOT: [u8; 32] = [
    0x56, 0xe8, 0x1f, 0x17, 0x1b, 0xcc, 0x55, 0xa6, 0xff, 0x83, 0x45, 0xe6, 0x92, 0xc0, 0xf8, 0x6e,
    0x5b, 0x48, 0xe0, 0x1b, 0x99, 0x6c, 0xad, 0xc0, 0x01, 0x62, 0x2f, 0xb5, 0xe3, 0x63, 0xb4, 0x21,
];

/// A key by its half bytes, and its value.
type Entry = (Vec<u8>, Vec<u8>);

/// The root of a list: transactions or receipts, keyed by their place.
#[must_use]
pub fn list_root<T: AsRef<[u8]>>(values: &[T]) -> [u8; 32] {
    let key = |place: usize| {
        let mut key = Vec::new();
        rlp::put_u64(&mut key, place as u64);
        key
    };
    let entries = values.iter().enumerate();
    root(entries.map(|(place, value)| (half_bytes(&key(place)), value.as_ref().to_vec())).collect())
}

/// The root of entries keyed by the hashes of their keys, as accounts are.
#[must_use]
pub fn hashed_root<'a>(entries: impl Iterator<Item = (&'a [u8], Vec<u8>)>) -> [u8; 32] {
    root(entries.map(|(key, value)| (half_bytes(&keccak256(key)), value)).collect())
}

fn root(mut entries: Vec<Entry>) -> [u8; 32] {
    if entries.is_empty() {
        return EMPTY_ROOT;
    }
    entries.sort_unstable();
    entries.dedup_by(|a, b| a.0 == b.0);
    keccak256(&node(&entries, 0))
}

fn half_bytes(key: &[u8]) -> Vec<u8> {
    key.iter().flat_map(|b| [b >> 4, b & 15]).collect()
}

/// The node over sorted entries that agree in their first `depth` half bytes. As deep as the longest
/// key: 64 half bytes.
fn node(entries: &[Entry], depth: usize) -> Vec<u8> {
    let mut items = Vec::new();
    if let [(key, value)] = entries {
        rlp::put_bytes(&mut items, &path(&key[depth..], true));
        rlp::put_bytes(&mut items, value);
        return rlp::list(&items);
    }
    let shared = shared_after(entries, depth);
    if shared > 0 {
        rlp::put_bytes(&mut items, &path(&entries[0].0[depth..depth + shared], false));
        put_child(&mut items, &node(entries, depth + shared));
        return rlp::list(&items);
    }
    // A key that ends here is the first of the sorted ones.
    let (ending, mut rest) = match entries.split_first() {
        Some((first, rest)) if first.0.len() == depth => (&first.1[..], rest),
        _ => (&[][..], entries),
    };
    for digit in 0..16 {
        let (here, after) = rest.split_at(rest.partition_point(|(key, _)| key[depth] <= digit));
        rest = after;
        if here.is_empty() {
            rlp::put_bytes(&mut items, &[]);
        } else {
            put_child(&mut items, &node(here, depth + 1));
        }
    }
    rlp::put_bytes(&mut items, ending);
    rlp::list(&items)
}

/// How many half bytes all keys share after the first `depth`.
fn shared_after(entries: &[Entry], depth: usize) -> usize {
    // Sorted: what the first and the last share, all share.
    let (Some((first, _)), Some((last, _))) = (entries.first(), entries.last()) else { return 0 };
    first[depth..].iter().zip(&last[depth..]).take_while(|(a, b)| a == b).count()
}

/// A node in its parent: itself where it is short, its hash otherwise.
fn put_child(items: &mut Vec<u8>, child: &[u8]) {
    if child.len() < 32 {
        items.extend_from_slice(child);
    } else {
        rlp::put_bytes(items, &keccak256(child));
    }
}

/// Half bytes as bytes, with a mark for their number being odd and for the end of a key.
fn path(half_bytes: &[u8], is_end: bool) -> Vec<u8> {
    let mark = if is_end { 2 } else { 0 };
    let (first, rest) = if half_bytes.len() % 2 == 1 {
        (((mark | 1) << 4) | half_bytes[0], &half_bytes[1..])
    } else {
        (mark << 4, half_bytes)
    };
    let pairs = rest.as_chunks::<2>().0.iter().map(|[high, low]| (high << 4) | low);
    std::iter::once(first).chain(pairs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_root(entries: &[(&str, &str)]) -> String {
        let pair = |(k, v): &(&str, &str)| (half_bytes(k.as_bytes()), v.as_bytes().to_vec());
        hex::encode(root(entries.iter().map(pair).collect()))
    }

    /// From the Ethereum Foundation's public trie tests (`trieanyorder.json`).
    #[test]
    fn the_public_tests_roots_come_out() {
        let dogs = [("doe", "reindeer"), ("dog", "puppy"), ("dogglesworth", "cat")];
        assert_eq!(
            text_root(&dogs),
            "8aad789dff2f538bca5d8ea56e8abe10f4c7ba3a5dea95fea4cd6e7c3a1168d3"
        );
        let puppy = [("do", "verb"), ("horse", "stallion"), ("doge", "coin"), ("dog", "puppy")];
        assert_eq!(
            text_root(&puppy),
            "5991bb8c6514148a29db676a14ac506cd2cd5775ace63c30a4fe457715e9ac84"
        );
        assert_eq!(
            text_root(&[("A", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]),
            "d23786fb4a010da3ce639d66d5e904a11dbc02746d1ce25029e53290cabf28ab"
        );
        assert_eq!(root(Vec::new()), EMPTY_ROOT);
    }
}
