//! Rewards that would have gone where nobody had said before: every lie about the published places.

use crate::told;
use crate::world::{CLASS, Closing, Files, World, closing, contract, mine, owner};
use ed25519_dalek::SigningKey;
use gruve_proof::log::KeyChange;
use gruve_proof::places::{HouseFee, Payees, Places};
use gruve_proof::record::RecordJob;
use gruve_proof::share::Canonical;
use gruve_proof::summary::FileRef;
use gruve_proof::verify::Options;
use gruve_units::{AccountId, Bps, EpochNumber};

/// The house's script, and that of owner 2.
const HOUSE: [u8; 3] = [2, 0x51, 1];
const OWN: [u8; 3] = [2, 0x51, 2];
/// Where the length of the one paying output's script stands: behind sequence, number of outputs, value.
const PAYS_AT: usize = 4 + 1 + 8;

fn list(w: &World, all: &[(Option<AccountId>, &[u8])]) -> Vec<u8> {
    let all = all.iter().map(|(whose, script)| (*whose, &script[1..]));
    Places::new(&w.lane, all).unwrap().encode()
}

fn usual(w: &World) -> Option<Vec<u8>> {
    Some(list(w, &[(None, &HOUSE), (Some(owner(2)), &OWN)]))
}

/// A job of an epoch that pays to this script.
fn paying(w: &mut World, epoch: u64, script: [u8; 3]) -> RecordJob {
    let mut job = w.job(epoch);
    job.suffix[PAYS_AT..PAYS_AT + 3].copy_from_slice(&script);
    job
}

/// One that pays a satoshi to this script beside the house's reward.
fn paying_beside(w: &mut World, epoch: u64, script: [u8; 3]) -> RecordJob {
    let mut job = paying(w, epoch, HOUSE);
    job.suffix[4] += 1;
    let beside = [&1u64.to_le_bytes()[..], &script].concat();
    job.suffix.splice(PAYS_AT + 3..PAYS_AT + 3, beside);
    job
}

/// Epoch 12 of one such job, mined by somebody's machine.
fn beside(w: &mut World, script: [u8; 3], whose: Option<AccountId>) -> Closing {
    let job = paying_beside(w, 12, script);
    let places = usual(w);
    Closing { places, ..closing(12, vec![job.clone()], mine(&job, CLASS, 0..2, whose)) }
}

/// Honest epochs to 12, and a 13 with late work of 12.
fn late(script: [u8; 3], whose: Option<AccountId>) -> Files {
    with_late(script, whose).publish()
}

fn with_late(script: [u8; 3], whose: Option<AccountId>) -> World {
    let mut w = World::new();
    for epoch in 10..13 {
        let honest = by_the_house(&mut w, epoch);
        w.close(&honest);
    }
    let (own, before) = (paying(&mut w, 13, HOUSE), paying(&mut w, 12, script));
    let places = usual(&w);
    let mut c = closing(13, vec![own.clone(), before.clone()], mine(&own, CLASS, 0..2, None));
    c.sections.push((EpochNumber(12), mine(&before, CLASS, 0..2, whose)));
    let house = if whose.is_none() { 4 } else { 2 };
    c.contracts = vec![contract(1, house << CLASS)];
    c.contracts[0].entitled = 0;
    w.close(&Closing { places, ..c });
    w
}

/// An honest log of places, owners, late work that pays one, and work under two keys; the shares of its last epoch.
pub(crate) fn whole() -> (World, Vec<Canonical>) {
    let mut w = with_late(OWN, Some(owner(2)));
    let (at, new) = (w.entries.len() as u64, SigningKey::from_bytes(&[2; 32]));
    w.entries.push(KeyChange::sign(&w.origin, at, &w.key, &new).canonical());
    w.key = new;
    let mut last = by_the_house(&mut w, 14);
    w.close(&last);
    (w, last.sections.remove(0).1)
}

fn by_the_house(w: &mut World, epoch: u64) -> Closing {
    let job = paying(w, epoch, HOUSE);
    let places = usual(w);
    Closing { places, ..closing(epoch, vec![job.clone()], mine(&job, CLASS, 0..2, None)) }
}

#[test]
fn an_owner_may_be_paid_for_late_work() {
    assert_eq!(late(OWN, Some(owner(2))).lie(&Options::default()), "none");
}

/// Epoch 10 names places, 11 as well; what 12 does, the liar says.
fn world(lie: impl FnOnce(&mut World) -> Closing) -> Files {
    let mut w = World::new();
    for epoch in 10..12 {
        let honest = w.epoch(epoch);
        let places = usual(&w);
        w.close(&Closing { places, ..honest });
    }
    let closing = lie(&mut w);
    w.close(&closing);
    w.publish()
}

/// Epoch 12 of one job, mined by somebody's machine.
fn by(w: &mut World, script: [u8; 3], whose: &[Option<AccountId>]) -> Closing {
    let job = paying(w, 12, script);
    let places = usual(w);
    let range = |n: usize| (2 * n as u64)..(2 * n as u64 + 2);
    let each = whose.iter().enumerate().map(|(n, who)| mine(&job, CLASS, range(n), *who));
    let shares = each.flatten().collect();
    Closing { places, ..closing(12, vec![job], shares) }
}

#[test]
fn work_that_pays_the_house_or_its_own_owner_holds() {
    for (script, whose, to_owners) in [
        (HOUSE, [None, Some(owner(2))], 0),
        (HOUSE, [Some(owner(3)), None], 0),
        (OWN, [Some(owner(2)); 2], 4),
    ] {
        let files = world(|w| by(w, script, &whose));
        let verdict = files.verify(&Options::default()).unwrap();
        let lane = &verdict.lanes[0];
        assert_eq!(lane.to_owners, to_owners, "{verdict}");
        // Only epochs 10 and 11 were before anything was said.
        assert_eq!(lane.unbound + 4, lane.shares, "{verdict}");
        let said = files.second();
        assert!(said.starts_with("yes "), "{said}");
    }
}

/// Half a percent of a block that pays an owner, in outputs of 600 at least.
fn charging(w: &World) -> Vec<u8> {
    let all = [(None, &HOUSE[1..]), (Some(owner(2)), &OWN[1..])];
    let fee = HouseFee { bps: Bps::new(50).unwrap(), least: 600 };
    Places::new(&w.lane, all).unwrap().charging(fee).unwrap().encode()
}

/// Of owner 2's partner.
const PARTNER: [u8; 3] = [2, 0x51, 3];

/// Thirty in a hundred of what that fee leaves are the partner's.
fn sharing(w: &World) -> Vec<u8> {
    let fee = HouseFee { bps: Bps::new(50).unwrap(), least: 600 };
    let others = vec![(PARTNER[1..].to_vec(), Bps::new(3_000).unwrap())];
    let own = Payees { script: OWN[1..].to_vec(), others };
    let house = Places::new(&w.lane, [(None, &HOUSE[1..])]).unwrap().charging(fee).unwrap();
    house.paying([(owner(2), &own)]).unwrap().encode()
}

/// Epoch 12 of owner 2's machine by a job with these outputs, under a list with a fee.
fn split(outputs: &[(u64, [u8; 3])]) -> Files {
    under(charging, outputs, owner(2))
}

/// The same under that list, by somebody's machine.
fn under(list: fn(&World) -> Vec<u8>, outputs: &[(u64, [u8; 3])], whose: AccountId) -> Files {
    let mut w = World::new();
    for epoch in 10..12 {
        let honest = w.epoch(epoch);
        let places = Some(list(&w));
        w.close(&Closing { places, ..honest });
    }
    let mut job = w.job(12);
    // The template pays one output; what stands behind it is the stamp.
    let behind = job.suffix.split_off(PAYS_AT + 3);
    job.suffix.truncate(4);
    job.suffix.push(u8::try_from(outputs.len() + 1).unwrap());
    for (value, script) in outputs {
        job.suffix.extend(value.to_le_bytes());
        job.suffix.extend(script);
    }
    job.suffix.extend(behind);
    let shares = mine(&job, CLASS, 0..2, Some(whose)).into_iter().collect();
    let places = Some(list(&w));
    w.close(&Closing { places, ..closing(12, vec![job], shares) });
    w.publish()
}

#[test]
fn a_block_is_shared_with_the_house_as_published() {
    for outputs in [
        &[(199_000, OWN), (1_000, HOUSE)][..],
        // In whatever order, and rounded down.
        &[(1_000, HOUSE), (199_199, OWN)],
        // Too little for an output of the house's.
        &[(119_999, OWN)],
        // In several outputs.
        &[(100_000, OWN), (500, HOUSE), (99_000, OWN), (500, HOUSE)],
        // All to the house, which credits.
        &[(200_000, HOUSE)],
    ] {
        let files = split(outputs);
        files.verify(&Options::default()).unwrap();
        let said = files.second();
        assert!(said.starts_with("yes "), "{outputs:?}: {said}");
    }
}

#[test]
fn another_part_for_the_house_than_published_is_a_lie() {
    for outputs in [
        &[(200_000, OWN)][..],
        &[(199_001, OWN), (999, HOUSE)],
        &[(198_999, OWN), (1_001, HOUSE)],
        &[(119_401, OWN), (599, HOUSE)],
        &[(u64::MAX, OWN), (u64::MAX, HOUSE)],
        // The right part, of more than any chain pays.
        &[(u64::MAX, OWN), (u64::MAX / 199, HOUSE)],
    ] {
        told("fee-unpublished", "another part", &split(outputs));
    }
    // Nothing is taken where nothing was said.
    let mut w = World::new();
    for epoch in 10..12 {
        let honest = w.epoch(epoch);
        let places = usual(&w);
        w.close(&Closing { places, ..honest });
    }
    let mut job = paying(&mut w, 12, OWN);
    job.suffix[4] = 3;
    let house = [&1u64.to_le_bytes()[..], &HOUSE].concat();
    job.suffix.splice(PAYS_AT + 3..PAYS_AT + 3, house);
    let places = usual(&w);
    let shares = mine(&job, CLASS, 0..2, Some(owner(2))).into_iter().collect();
    w.close(&Closing { places, ..closing(12, vec![job], shares) });
    told("fee-unpublished", "another part", &w.publish());
}

#[test]
fn partners_are_paid_by_the_block_in_their_parts() {
    for outputs in [
        &[(139_300, OWN), (59_700, PARTNER), (1_000, HOUSE)][..],
        &[(1_000, HOUSE), (139_300, OWN), (59_700, PARTNER)],
        // Rounded down for the partner, and no fee below the least.
        &[(83_993, OWN), (35_996, PARTNER)],
        &[(200_000, HOUSE)],
    ] {
        let files = under(sharing, outputs, owner(2));
        files.verify(&Options::default()).unwrap();
        let said = files.second();
        assert!(said.starts_with("yes "), "{outputs:?}: {said}");
    }
}

#[test]
fn another_part_for_a_partner_than_published_is_a_lie() {
    let other = [2, 0x51, 4];
    for outputs in [
        &[(139_301, OWN), (59_699, PARTNER), (1_000, HOUSE)][..],
        &[(139_299, OWN), (59_701, PARTNER), (1_000, HOUSE)],
        &[(59_700, PARTNER), (139_300, OWN), (1_000, HOUSE)],
        &[(199_000, OWN), (1_000, HOUSE)],
        &[(199_000, PARTNER), (1_000, HOUSE)],
        &[(139_300, OWN), (59_700, other), (1_000, HOUSE)],
        &[(139_300, OWN), (29_850, PARTNER), (29_850, PARTNER), (1_000, HOUSE)],
        // So little that amounts tell no parts.
        &[(6_999, OWN), (2_999, PARTNER)],
    ] {
        let files = under(sharing, outputs, owner(2));
        told("paid-unpublished", "pays to a place that was not published", &files);
    }
    let fair = &[(139_300, OWN), (59_700, PARTNER), (1_000, HOUSE)];
    let files = under(sharing, fair, owner(3));
    told("paid-unpublished", "pays to a place that was not published", &files);
    // A list that names each alone does not let them share.
    let files = under(charging, fair, owner(2));
    told("paid-unpublished", "pays to a place that was not published", &files);
    let files = under(sharing, &[(140_000, OWN), (60_000, PARTNER)], owner(2));
    told("fee-unpublished", "another part", &files);
}

#[test]
fn records_of_before_say_that_nothing_was_said() {
    let verdict = World::honest().publish().verify(&Options::default()).unwrap();
    assert_eq!(verdict.lanes[0].unbound, verdict.lanes[0].shares);
    assert!(verdict.not_proven.iter().any(|n| n.contains("said beforehand")), "{verdict}");
}

#[test]
fn a_list_is_that_of_the_checkpoint_and_not_a_later_one() {
    // Epoch 11 names another place, and epoch 12's jobs hold the checkpoint of epoch 10.
    let mut w = World::new();
    for (epoch, script) in [(10, HOUSE), (11, OWN)] {
        let honest = w.epoch(epoch);
        let places = Some(list(&w, &[(None, &script)]));
        w.close(&Closing { places, ..honest });
    }
    let bound = by(&mut w, HOUSE, &[None]);
    w.close(&bound);
    assert_eq!(w.publish().lie(&Options::default()), "none");
    let job = paying(&mut w, 13, HOUSE);
    let late = closing(13, vec![job.clone()], mine(&job, CLASS, 0..2, None));
    w.close(&Closing { places: bound.places, ..late });
    told("paid-unpublished", "pays to a place that was not published", &w.publish());
}

lies! {
    a_reward_for_a_place_of_nobodys: "paid-unpublished", "pays to a place that was not published",
        world(|w| by(w, [2, 0x51, 9], &[Some(owner(2))]));
    the_houses_work_paid_to_an_owner: "paid-unpublished", "pays to a place that was not published",
        world(|w| by(w, OWN, &[Some(owner(2)), None]));
    an_owners_work_paid_to_another: "paid-unpublished", "pays to a place that was not published",
        world(|w| by(w, OWN, &[Some(owner(2)), Some(owner(3))]));
    a_satoshi_for_nobodys_place_beside_the_reward: "fee-unpublished", "pays to a place that was not published",
        world(|w| beside(w, [2, 0x51, 9], None));
    an_owner_paid_beside_the_house_for_its_work: "fee-unpublished", "pays to a place that was not published",
        world(|w| beside(w, OWN, None));
    late_work_of_the_houses_paid_to_an_owner: "paid-unpublished", "pays to a place that was not published",
        late(OWN, None);
    late_work_of_an_owners_paid_to_another: "paid-unpublished", "pays to a place that was not published",
        late(OWN, Some(owner(3)));
    a_list_of_places_that_is_not_there: "places-missing", "cannot be read",
        world(|w| Closing {
            edit: |s| s.places = FileRef { hash: [1; 32], bytes: 80 },
            ..by(w, HOUSE, &[None])
        });
    a_list_of_places_of_another_lane: "places-malformed", "of another lane",
        world(|w| Closing {
            places: Some(Places::new(&"ltc".parse().unwrap(), [(None, &HOUSE[..])]).unwrap().encode()),
            ..by(w, HOUSE, &[None])
        });
    a_list_of_places_with_bytes_behind_it: "places-malformed", "bytes left over",
        world(|w| {
            let mut c = by(w, HOUSE, &[None]);
            c.places.iter_mut().for_each(|file| file.push(0));
            c
        });
    a_list_of_places_longer_than_the_entry_says: "places-malformed", "too long or too short",
        world(|w| Closing { edit: |s| s.places.bytes -= 32, ..by(w, HOUSE, &[None]) });
    a_lane_that_names_no_places_any_more: "places-withdrawn", "names no places any more",
        world(|w| Closing { places: None, ..by(w, HOUSE, &[None]) });
}
