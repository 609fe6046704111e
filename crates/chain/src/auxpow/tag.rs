//! The merge-mining tag: `fabe6d6d`, the auxiliary tree's root (reversed), its size and its nonce.

use super::AuxTree;

/// What the tag begins with. A coinbase script may hold it once.
pub const MAGIC: [u8; 4] = [0xfa, 0xbe, 0x6d, 0x6d];
/// Bytes of a whole tag.
pub const TAG_BYTES: usize = 4 + 32 + 4 + 4;

/// The tag of a tree.
#[must_use]
pub fn tag(tree: &AuxTree) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    tag[..4].copy_from_slice(&MAGIC);
    tag[4..36].copy_from_slice(tree.root());
    tag[4..36].reverse();
    tag[36..40].copy_from_slice(&tree.size().to_le_bytes());
    tag[40..].copy_from_slice(&tree.nonce().to_le_bytes());
    tag
}

/// How often the beginning of a tag stands in bytes. (It cannot overlap itself.)
#[must_use]
pub fn count(bytes: &[u8]) -> usize {
    bytes.windows(MAGIC.len()).filter(|w| **w == MAGIC).count()
}

/// Where `what` stands first.
pub(super) fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_root_size_and_nonce() {
        let tree = AuxTree::build(&[(98, [1; 32]), (99, [2; 32])], 0x0102_0304).unwrap();
        let tag = tag(&tree);
        let mut root = *tree.root();
        root.reverse();
        let expected = [&MAGIC[..], &root, &[2, 0, 0, 0], &[4, 3, 2, 1]].concat();
        assert_eq!(tag[..], expected);
        assert_eq!((count(&tag), count(&tag[1..]), count(&[&tag[..], &tag].concat())), (1, 0, 2));
    }
}
