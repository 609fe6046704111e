//! Every variant against the plain one.

use super::*;
use crate::{HeaderScanner, merkle_root_from_branch, pow_hash, scrypt_1024_1_1, sha256d};
use gruve_units::{Algorithm, Class, Target};
use proptest::prelude::*;

fn header() -> impl Strategy<Value = [u8; 80]> {
    proptest::collection::vec(any::<u8>(), 80).prop_map(|v| v.try_into().unwrap())
}

#[test]
fn every_variant_that_the_processor_has_passes_its_own_check() {
    for v in Variant::ALL {
        assert_eq!(v.is_supported(), Variant::available().contains(&v), "{v}");
    }
}

#[test]
fn every_variant_has_its_place_in_every_order() {
    for work in [Work::Nonces, Work::Messages, Work::Nodes, Work::Branches] {
        let order = Variant::fastest_first(work);
        assert_eq!(order.len(), Variant::available().len());
        assert!(Variant::available().iter().all(|v| order.contains(v)), "{work:?}");
        assert_eq!(Variant::best(work), order[0]);
    }
}

proptest! {
    #[test]
    fn every_variant_hashes_headers_like_the_plain_one(
        headers in proptest::collection::vec(header(), 0..40)
    ) {
        let plain: Vec<_> = headers.iter().map(|h| sha256d(h)).collect();
        for &v in Variant::available() {
            prop_assert_eq!(&sha256d_headers_by(v, &headers), &plain, "{}", v);
        }
    }

    #[test]
    fn every_variant_hashes_messages_of_any_length_and_number_like_the_plain_one(
        bytes in proptest::collection::vec(any::<u8>(), 0..9000),
        len in prop_oneof![0usize..500, Just(55), Just(56), Just(63), Just(64), Just(119)],
        n in 0usize..45,
    ) {
        let mut plain = vec![[0; 32]; n];
        let whole = bytes.len().checked_div(len).unwrap_or(n);
        for (i, hash) in plain.iter_mut().enumerate().take(whole) {
            *hash = sha256d(&bytes[i * len..(i + 1) * len]);
        }
        let mut out = vec![[0; 32]; n];
        sha256d_equal(&bytes, len, &mut out);
        prop_assert_eq!(&out, &plain);
        for &v in Variant::available() {
            out.fill([0; 32]);
            sha256d_equal_by(v, &bytes, len, &mut out);
            prop_assert_eq!(&out, &plain, "{}", v);
        }
        for (i, hash) in plain.iter_mut().enumerate().take(whole) {
            *hash = crate::sha256(&bytes[i * len..(i + 1) * len]);
        }
        for &v in Variant::available() {
            out.fill([0; 32]);
            sha256_equal_by(v, &bytes, len, &mut out);
            prop_assert_eq!(&out, &plain, "once, {}", v);
        }
    }

    #[test]
    fn every_variant_hashes_padded_blocks_like_the_plain_one(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..56), 0..45),
        room in 0usize..45,
    ) {
        let padded = |m: &Vec<u8>| {
            let mut block = [0; 64];
            block[..m.len()].copy_from_slice(m);
            block[m.len()] = 0x80;
            block[62..].copy_from_slice(&u16::try_from(8 * m.len()).unwrap().to_be_bytes());
            block
        };
        let blocks: Vec<_> = messages.iter().map(padded).collect();
        let mut plain = vec![[0; 32]; room];
        for (hash, message) in plain.iter_mut().zip(&messages) {
            *hash = crate::sha256(message);
        }
        let mut out = vec![[0; 32]; room];
        sha256_blocks(&blocks, &mut out);
        prop_assert_eq!(&out, &plain);
        for &v in Variant::available() {
            out.fill([0; 32]);
            sha256_blocks_by(v, &blocks, &mut out);
            prop_assert_eq!(&out, &plain, "{}", v);
        }
    }

    #[test]
    fn every_variant_hashes_pairs_behind_a_byte_like_the_plain_one(
        tag: u8,
        nodes in proptest::collection::vec(any::<[u8; 32]>(), 0..90),
        room in 0usize..45,
    ) {
        let mut plain = vec![[0; 32]; room];
        for (hash, pair) in plain.iter_mut().zip(nodes.as_chunks::<2>().0) {
            *hash = crate::sha256(&[&[tag], pair.as_flattened()].concat());
        }
        let mut out = vec![[0; 32]; room];
        sha256_tagged_pairs(tag, &nodes, &mut out);
        prop_assert_eq!(&out, &plain);
        for &v in Variant::available() {
            out.fill([0; 32]);
            sha256_tagged_pairs_by(v, tag, &nodes, &mut out);
            prop_assert_eq!(&out, &plain, "{}", v);
        }
    }

    #[test]
    fn a_prefix_hashed_once_changes_nothing(
        prefix in proptest::collection::vec(any::<u8>(), 0..300),
        rests in proptest::collection::vec(any::<u8>(), 0..4000),
        rest_len in 1usize..300,
    ) {
        let common = Prefix::of(&prefix);
        let prefix = &prefix[..common.len()];
        let mut out = vec![[0; 32]; rests.len() / rest_len];
        common.sha256d_equal(&rests, rest_len, &mut out);
        for (hash, rest) in out.iter().zip(rests.chunks_exact(rest_len)) {
            prop_assert_eq!(hash, &sha256d(&[prefix, rest].concat()));
        }
    }

    #[test]
    fn every_variant_climbs_a_merkle_level_like_the_plain_one(
        nodes in proptest::collection::vec(any::<[u8; 32]>(), 0..45),
        siblings in proptest::collection::vec(any::<[u8; 32]>(), 0..45),
    ) {
        let mut plain = nodes.clone();
        for (node, sibling) in plain.iter_mut().zip(&siblings) {
            *node = merkle_root_from_branch(*node, &[*sibling]);
        }
        let mut out = nodes.clone();
        merkle_level(&mut out, &siblings);
        prop_assert_eq!(&out, &plain);
        for &v in Variant::available() {
            out.clone_from(&nodes);
            merkle_level_by(v, &mut out, &siblings);
            prop_assert_eq!(&out, &plain, "{}", v);
        }
    }

    #[test]
    fn every_variant_climbs_a_branch_like_the_plain_one(
        nodes in proptest::collection::vec(any::<[u8; 32]>(), 0..45),
        siblings in proptest::collection::vec(any::<[u8; 32]>(), 0..6),
    ) {
        let plain: Vec<_> = nodes.iter().map(|n| merkle_root_from_branch(*n, &siblings)).collect();
        let mut out = nodes.clone();
        merkle_branch(&mut out, &siblings);
        prop_assert_eq!(&out, &plain);
        for &v in Variant::available() {
            out.clone_from(&nodes);
            merkle_branch_by(v, &mut out, &siblings);
            prop_assert_eq!(&out, &plain, "{}", v);
        }
    }

    #[test]
    fn every_variant_finds_exactly_the_nonces_that_meet_the_target(
        mut header in header(),
        from in prop_oneof![any::<u32>(), (u32::MAX - 300)..=u32::MAX],
        count in 0u32..600,
        k in 0u8..9,
    ) {
        let target = Class::new(k).unwrap().target();
        let mut expected = Vec::new();
        for i in 0..count {
            let nonce = from.wrapping_add(i);
            header[76..].copy_from_slice(&nonce.to_le_bytes());
            let hash = pow_hash(Algorithm::Sha256d, &header);
            if target.is_met_by(&hash) {
                expected.push((nonce, hash));
            }
        }
        for &v in Variant::available() {
            let mut found = Vec::new();
            HeaderScanner::by(v, Algorithm::Sha256d, header).scan(from, count, &target, &mut found);
            prop_assert_eq!(&found, &expected, "{}", v);
        }
    }

    #[test]
    fn a_hash_equal_to_the_target_is_found(header in header(), nonce: u32) {
        let mut with = header;
        with[76..].copy_from_slice(&nonce.to_le_bytes());
        let hash = sha256d(&with);
        let mut be = hash;
        be.reverse();
        let target = Target::from_be_bytes(be);
        for &v in Variant::available() {
            let mut found = Vec::new();
            HeaderScanner::by(v, Algorithm::Sha256d, header).scan(nonce, 1, &target, &mut found);
            prop_assert_eq!(&found, &vec![(nonce, hash)], "{}", v);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn every_scrypt_variant_hashes_like_the_plain_one(
        headers in proptest::collection::vec(header(), 0..26)
    ) {
        let plain: Vec<_> = headers.iter().map(scrypt_1024_1_1).collect();
        prop_assert_eq!(&scrypt_headers(&headers), &plain);
        for &v in ScryptVariant::available() {
            let mut out = vec![[0; 32]; headers.len()];
            let mut lanes = ScryptLanes::by(v);
            // Twice: scratchpads are used again.
            for _ in 0..2 {
                out.fill([0; 32]);
                lanes.hash(&headers, &mut out);
                prop_assert_eq!(&out, &plain, "{}", v);
            }
        }
    }
}

#[test]
fn every_scrypt_variant_that_the_processor_has_passes_its_own_check() {
    for v in ScryptVariant::ALL {
        assert_eq!(v.is_supported(), ScryptVariant::available().contains(&v), "{v}");
    }
    assert!(ScryptVariant::available().contains(&ScryptVariant::best()));
}

#[test]
fn the_scanner_finds_scrypt_nonces() {
    let target = Class::new(2).unwrap().target();
    let mut found = Vec::new();
    HeaderScanner::new(Algorithm::Scrypt, [7; 80]).scan(u32::MAX - 5, 40, &target, &mut found);
    assert!(!found.is_empty());
    for (nonce, hash) in found {
        let mut header = [7u8; 80];
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        assert_eq!(scrypt_1024_1_1(&header), hash);
        assert!(target.is_met_by(&hash));
    }
}
