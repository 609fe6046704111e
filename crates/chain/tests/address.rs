//! Addresses against another implementation (crate `bitcoin`) and against known ones.
#![allow(clippy::unwrap_used, missing_docs)]

use bitcoin::Network;
use gruve_chain::params::coins;
use gruve_chain::{AddressError, NetworkName, address_for_script, params_for, script_for_address};
use gruve_units::{Asset, Blame, Blamed};
use proptest::prelude::*;

/// The five kinds of script that have an address.
fn script() -> impl Strategy<Value = Vec<u8>> {
    (0u8..5, any::<[u8; 32]>()).prop_map(|(kind, h)| match kind {
        0 => [&[0x76, 0xa9, 20], &h[..20], &[0x88, 0xac]].concat(),
        1 => [&[0xa9, 20], &h[..20], &[0x87]].concat(),
        2 => [&[0, 20], &h[..20]].concat(),
        3 => [&[0, 32], &h[..]].concat(),
        _ => [&[0x51, 32], &h[..]].concat(),
    })
}

proptest! {
    #[test]
    fn bitcoin_addresses_are_those_of_another_implementation(script in script()) {
        for (ours, theirs) in [
            (NetworkName::Mainnet, Network::Bitcoin),
            (NetworkName::Testnet, Network::Testnet),
            (NetworkName::Regtest, Network::Regtest),
        ] {
            let params = params_for(Asset::Btc, ours).unwrap();
            let address = address_for_script(&params, &script).unwrap();
            let other = bitcoin::Address::from_script(bitcoin::Script::from_bytes(&script), theirs);
            // The other implementation refuses taproot keys that are no points; we only encode.
            if let Ok(other) = other {
                prop_assert_eq!(&address, &other.to_string());
            }
        }
    }

    #[test]
    fn every_address_leads_back_to_its_script_and_to_no_other_coin(script in script()) {
        for asset in coins() {
            for network in NetworkName::ALL {
                let params = params_for(asset, network).unwrap();
                let Some(address) = address_for_script(&params, &script) else {
                    prop_assert!(!params.segwit);
                    continue;
                };
                prop_assert_eq!(&script_for_address(&params, &address).unwrap(), &script);
                for other in coins().filter(|&a| a != asset) {
                    let other = params_for(other, NetworkName::Mainnet).unwrap();
                    let error = script_for_address(&other, &address).unwrap_err();
                    let elsewhere = matches!(error, AddressError::OtherChain { .. });
                    prop_assert!(elsewhere, "{} as {}: {}", address, other.title(), error);
                    prop_assert_eq!(error.blame(), Blame::Rejected);
                }
            }
        }
    }

    #[test]
    fn one_changed_character_is_an_error(script in script(), at: prop::sample::Index, c in "[0-9a-z]") {
        let params = params_for(Asset::Ltc, NetworkName::Mainnet).unwrap();
        let address = address_for_script(&params, &script).unwrap();
        let at = at.index(address.len());
        let mut changed = address.clone();
        changed.replace_range(at..=at, &c);
        prop_assume!(changed != address);
        prop_assert!(script_for_address(&params, &changed).is_err(), "{}", changed);
    }

    #[test]
    fn reading_an_address_never_panics(s in "\\PC{0,120}") {
        let params = params_for(Asset::Btc, NetworkName::Mainnet).unwrap();
        let _ = script_for_address(&params, &s);
    }

    #[test]
    fn writing_an_address_never_panics(script: Vec<u8>) {
        let params = params_for(Asset::Btc, NetworkName::Mainnet).unwrap();
        let _ = address_for_script(&params, &script);
    }
}

#[test]
fn known_addresses_have_their_known_scripts() {
    let known = [
        // BIP 173 and BIP 350.
        (
            Asset::Btc,
            NetworkName::Mainnet,
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "0014751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        (
            Asset::Btc,
            NetworkName::Mainnet,
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ),
        // The coinbase of the genesis block's key.
        (
            Asset::Btc,
            NetworkName::Mainnet,
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
        ),
    ];
    for (asset, network, address, script) in known {
        let params = params_for(asset, network).unwrap();
        assert_eq!(hex::encode(script_for_address(&params, address).unwrap()), script, "{address}");
    }
}

#[test]
fn what_cannot_be_paid_to_safely_is_refused_with_its_reason() {
    let btc = params_for(Asset::Btc, NetworkName::Mainnet).unwrap();
    // BIP 350: versions 16 and 2, and a version 1 program of 40 bytes.
    for address in [
        "BC1SW50QGDZ25J",
        "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
        "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
    ] {
        let error = script_for_address(&btc, address).unwrap_err();
        assert!(matches!(error, AddressError::Unsupported(_)), "{address}: {error}");
    }
    // BIP 350's invalid ones: bech32 where bech32m is due and the reverse, mixed case.
    for address in [
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
        "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq",
        "",
        "1",
        "bc1",
    ] {
        let error = script_for_address(&btc, address).unwrap_err();
        assert_eq!(error, AddressError::Malformed, "{address}");
    }
    let ltc = params_for(Asset::Ltc, NetworkName::Mainnet).unwrap();
    // A script-hash address in the old form is also a Bitcoin address: it is taken for one.
    let old = address_for_script(&btc, &[&[0xa9, 20][..], &[1; 20], &[0x87]].concat()).unwrap();
    let error = script_for_address(&ltc, &old).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this is an address of Bitcoin mainnet; one of Litecoin mainnet is needed"
    );
}
