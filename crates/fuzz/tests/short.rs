//! Every target on its seeds and on some five million changed ones in all, the same every time: how many is what is promised.
//! They take nearly three minutes of processor time, fifteen seconds for each state machine and six to nine for each reader.
//! `GRUVE_LONG=1` runs four times as many; for hours there is `scripts/fuzz`.

use gruve_fuzz::{mutate, target};

fn short(name: &str, rounds: u64) {
    let times = if std::env::var_os("GRUVE_LONG").is_some() { 4 } else { 1 };
    mutate::run(&target(name), rounds * times);
}

#[test]
fn no_lines_make_a_v1_session_panic_or_speak_garbled_or_understand_one_line_in_two_ways() {
    short("v1_lines", 100_000);
}

#[test]
fn no_sequence_makes_a_v1_session_count_a_share_twice_or_leave_a_request_unanswered() {
    short("v1_session", 40_000);
}

#[test]
fn no_bytes_make_the_proxy_header_panic_or_reach_beyond_its_bound() {
    short("proxy", 1_000_000);
}

#[test]
fn no_sequence_makes_a_v2_session_acknowledge_what_is_not_stored_or_count_twice() {
    short("v2_session", 16_000);
}

#[test]
fn no_bytes_make_noise_panic_or_let_a_changed_frame_through() {
    short("noise", 24_000);
}

#[test]
fn no_sequence_over_three_ethash_dialects_counts_a_nonce_twice() {
    short("ethash", 140_000);
}

#[test]
fn no_damage_to_a_share_log_panics_or_is_read_as_something_else() {
    short("share_log", 6_000);
}

#[test]
fn no_answer_of_a_node_panics_or_is_read_in_two_ways() {
    short("node_answers", 250_000);
}

#[test]
fn no_bytes_as_block_transaction_or_address_panic_or_are_read_otherwise_than_by_others() {
    short("blocks", 800_000);
}

#[test]
fn no_bytes_of_a_statement_of_funds_panic_have_two_forms_or_sign_for_nobody() {
    short("funds", 1_200_000);
}

#[test]
fn no_bytes_of_a_record_sold_tree_entry_note_or_receipt_panic_or_have_two_forms() {
    short("record", 700_000);
}

#[test]
fn no_publisher_over_zeromq_panics_or_is_heard_otherwise_in_pieces() {
    short("zmq", 120_000);
}

#[test]
fn no_node_that_tells_of_heads_panics_or_is_heard_otherwise_in_pieces() {
    short("heads", 160_000);
}

#[test]
fn no_change_of_a_published_folder_makes_the_verifier_say_yes_or_panic() {
    short("verifier", 180_000);
}

#[cfg(feature = "house")]
#[test]
fn no_text_as_configuration_panics_or_is_refused_without_a_reason() {
    short("config", 250_000);
}

#[cfg(feature = "house")]
#[test]
fn every_target_has_its_libfuzzer_program() {
    let programs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/fuzz_targets");
    let mut files: Vec<_> = std::fs::read_dir(programs)
        .expect("the programs")
        .map(|f| f.expect("a file").file_name().into_string().expect("a name"))
        .collect();
    files.sort();
    let mut names: Vec<_> = gruve_fuzz::TARGETS.iter().map(|t| format!("{}.rs", t.name)).collect();
    names.sort();
    assert_eq!(files, names);
}
