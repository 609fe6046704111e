//! A page of the roll as bytes. Pure.
//!
//! # A page's bytes
//! Numbers as in `coding`; a text is its length and its bytes.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | form, 1 |
//! | number *n*, then *n* texts | what several contracts have in common (see [`Common`]) |
//! | until the end, for each contract | 16 of id, 16 of account, 32 of the terms' hash; numbers: which of the common; hashrate; term; work of an epoch; work; minor units of the price; when made; when paid and 1, or 0; first epoch and 1, or 0; 1 if it holds capacity; 0, or 1 and 16 bytes of the contract it follows |

use crate::bulk::coding::{Reader, broken, put};
use crate::contract::{Contract, read_also, write_also};
use crate::rules::PlanLife;
use crate::{ContractState, LifeView, Result, Scheme};
use gruve_units::{
    AccountId, Accrual, Amount, Asset, Bps, ContractId, EpochNumber, Hashes, Hashrate, LaneId,
    Timestamp,
};
use std::collections::HashMap;

const FORM: u8 = 1;

/// What contracts of one version of a plan have in common, as texts one after the other:
/// plan, its version, title, asset, microseconds of an epoch, extension, catch-up, the price's asset, fee, maintenance, also
/// from other assets, scheme, rules.
struct Common;

const COMMON: usize = 13;

impl Common {
    fn of(c: &Contract) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(200);
        for text in [
            c.plan.to_string(),
            c.plan_version.to_string(),
            c.title.to_string(),
            c.asset.to_string(),
            c.epoch_us.to_string(),
            c.extension.to_string(),
            c.catch_up_bps.to_string(),
            c.price.asset.to_string(),
            c.fee.get().to_string(),
            c.maintenance.to_string(),
            write_also(&c.maintenance_also),
            c.scheme.name().to_owned(),
            if c.life.rules.is_default() { String::new() } else { c.life.rules.write() },
        ] {
            put_text(&mut bytes, text.as_bytes());
        }
        bytes
    }

    fn is_same(a: &Contract, b: &Contract) -> bool {
        let of = |c: &Contract| {
            let rules = (c.epoch_us, c.extension, c.catch_up_bps, c.fee, c.maintenance, c.scheme);
            (c.plan_version, c.asset, c.price.asset, rules)
        };
        of(a) == of(b)
            && (&a.plan, &a.title) == (&b.plan, &b.title)
            && (&a.maintenance_also, &a.life.rules) == (&b.maintenance_also, &b.life.rules)
    }

    /// A contract with these, and nothing of its own.
    fn read(lane: &LaneId, bytes: &[u8]) -> Result<Contract> {
        let mut r = Reader::new(bytes);
        let mut texts = Vec::with_capacity(COMMON);
        while !r.is_at_end() {
            texts.push(read_text(&mut r)?);
        }
        let texts: [String; COMMON] = texts.try_into().map_err(|_| broken())?;
        let [
            plan,
            version,
            title,
            asset,
            epoch_us,
            extension,
            catch_up,
            price,
            fee,
            maintenance,
            also,
            scheme,
            rules,
        ] = texts;
        Ok(Contract {
            id: ContractId::from_bytes([0; 16]),
            account: AccountId::from_bytes([0; 16]),
            plan: plan.into(),
            plan_version: number(&version)?,
            title: title.into(),
            lane: lane.clone(),
            asset: asset.parse().map_err(|_| broken())?,
            epoch_us: number(&epoch_us)?,
            hashrate: Hashrate::ZERO,
            term: 0,
            extension: number(&extension)?,
            catch_up_bps: number(&catch_up)?,
            epoch_work: Hashes::ZERO,
            work: Hashes::ZERO,
            price: Amount::zero(price.parse::<Asset>().map_err(|_| broken())?),
            fee: Bps::new(number(&fee)?).ok_or_else(broken)?,
            maintenance: number(&maintenance)?,
            maintenance_also: read_also(&also)?,
            scheme: Scheme::stored(&scheme)?,
            terms_hash: [0; 32],
            state: ContractState::Active,
            created: Timestamp(0),
            paid: None,
            start: None,
            delivered: Hashes::ZERO,
            short_since: None,
            maintenance_due: Accrual::ZERO,
            recognised: 0,
            refunded: 0,
            holds: true,
            enrolled: true,
            life: LifeView {
                renews: None,
                compensated: Hashes::ZERO,
                undecided: Hashes::ZERO,
                paused_since: None,
                paused_epochs: 0,
                frozen_since: None,
                rules: PlanLife::read(&rules)?,
            },
        })
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| broken())
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    // No text is longer than memory.
    put(out, text.len() as u128);
    out.extend(text);
}

fn read_bytes<'a>(r: &mut Reader<'a>) -> Result<&'a [u8]> {
    let len = r.small()?;
    r.some(len)
}

fn read_text(r: &mut Reader<'_>) -> Result<String> {
    String::from_utf8(read_bytes(r)?.to_vec()).map_err(|_| broken())
}

/// A number of 64 bits, also below zero.
fn put_signed(out: &mut Vec<u8>, n: i64) {
    put(out, n.cast_unsigned().into());
}

fn read_signed(r: &mut Reader<'_>) -> Result<i64> {
    Ok(r.small::<u64>()?.cast_signed())
}

pub(super) fn write_page(page: &[Contract]) -> Vec<u8> {
    // One contract of each kind.
    let mut commons: Vec<&Contract> = Vec::new();
    let mut bodies = Vec::with_capacity(page.len() * 130);
    for c in page {
        let which = commons.iter().position(|other| Common::is_same(c, other));
        let which = which.unwrap_or_else(|| {
            commons.push(c);
            commons.len() - 1
        });
        put_one(&mut bodies, c, which);
    }
    let mut body = vec![FORM];
    put(&mut body, commons.len() as u128);
    for c in commons {
        put_text(&mut body, &Common::of(c));
    }
    body.extend(bodies);
    body
}

fn put_one(out: &mut Vec<u8>, c: &Contract, common: usize) {
    out.extend(c.id.to_bytes());
    out.extend(c.account.to_bytes());
    out.extend(c.terms_hash);
    put(out, common as u128);
    put(out, c.hashrate.0);
    put(out, c.term.into());
    put(out, c.epoch_work.0);
    put(out, c.work.0);
    put_signed(out, c.price.minor);
    put_signed(out, c.created.0);
    put(out, c.paid.map_or(0, |at| u128::from(at.0.cast_unsigned()) + 1));
    put(out, c.start.map_or(0, |e| u128::from(e.0) + 1));
    out.push(u8::from(c.holds));
    out.push(u8::from(c.life.renews.is_some()));
    if let Some(renews) = c.life.renews {
        out.extend(renews.to_bytes());
    }
}

/// What was common to the pages read before: nearly always also to the next.
pub(crate) struct Commons {
    pub(crate) lane: LaneId,
    known: HashMap<Vec<u8>, Contract>,
}

/// Commons remembered at most: versions of plans with active contracts, and some bytes each.
const COMMONS_MAX: usize = 1_000;

impl Commons {
    pub(crate) fn of(lane: &LaneId) -> Commons {
        Commons { lane: lane.clone(), known: HashMap::new() }
    }

    fn find(&mut self, bytes: &[u8]) -> Result<Contract> {
        if let Some(known) = self.known.get(bytes) {
            return Ok(known.clone());
        }
        if self.known.len() >= COMMONS_MAX {
            self.known.clear();
        }
        let new = Common::read(&self.lane, bytes)?;
        self.known.insert(bytes.to_vec(), new.clone());
        Ok(new)
    }

    pub(super) fn read_page(&mut self, body: &[u8], mut each: impl FnMut(Contract)) -> Result<()> {
        let mut r = Reader::new(body);
        let [form] = r.bytes()?;
        if form != FORM {
            return Err(broken());
        }
        let count: usize = r.small()?;
        let mut commons = Vec::new();
        for _ in 0..count {
            commons.push(self.find(read_bytes(&mut r)?)?);
        }
        while !r.is_at_end() {
            each(read_one(&mut r, &commons)?);
        }
        Ok(())
    }
}

fn read_one(r: &mut Reader<'_>, commons: &[Contract]) -> Result<Contract> {
    let (id, account) = (r.bytes()?, r.bytes()?);
    let terms_hash = r.bytes()?;
    let common = commons.get(r.small::<usize>()?).ok_or_else(broken)?;
    let mut c = common.clone();
    c.id = ContractId::from_bytes(id);
    c.account = AccountId::from_bytes(account);
    c.terms_hash = terms_hash;
    c.hashrate = Hashrate(r.number()?);
    c.term = r.small()?;
    c.epoch_work = Hashes(r.number()?);
    c.work = Hashes(r.number()?);
    c.price.minor = read_signed(r)?;
    c.created = Timestamp(read_signed(r)?);
    let optional = |n: u128| match n.checked_sub(1) {
        None => Ok(None),
        Some(n) => u64::try_from(n).map(Some).map_err(|_| broken()),
    };
    c.paid = optional(r.number()?)?.map(|at| Timestamp(at.cast_signed()));
    c.start = optional(r.number()?)?.map(EpochNumber);
    let [holds, renews] = r.bytes()?;
    c.holds = flag(holds)?;
    c.life.renews = if flag(renews)? { Some(ContractId::from_bytes(r.bytes()?)) } else { None };
    Ok(c)
}

fn flag(byte: u8) -> Result<bool> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(broken()),
    }
}

/// Whether what the roll keeps is the same of both.
pub(super) fn is_same(a: &Contract, b: &Contract) -> bool {
    let bytes = |c: &Contract| {
        let mut bytes = Common::of(c);
        put_one(&mut bytes, c, 0);
        bytes
    };
    bytes(a) == bytes(b)
}
