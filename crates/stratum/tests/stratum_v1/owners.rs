//! A machine that changes its owner at an epoch's border, while its connection stays.

use crate::gateway::{connect, mine, next_job};
use crate::node::{FakeMachines, FakeNode, all_records, gateway_options, lane_options};
use async_trait::async_trait;
use gruve_sharelog::{Options, Owner, Record, ShareLog};
use gruve_stratum::{Authorized, Gateway, LaneWork, Machines, Refused};
use gruve_units::{AccountId, EpochNumber, LaneId, MachineId, SystemClock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Every machine is this account's, once it is told to change.
struct Changing {
    is_changing: AtomicBool,
}

const BUYER: AccountId = AccountId::from_bytes([7; 16]);

#[async_trait]
impl Machines for Changing {
    async fn authorize(
        &self,
        lane: &LaneId,
        user: &str,
        pass: &str,
    ) -> Result<Authorized, Refused> {
        FakeMachines.authorize(lane, user, pass).await
    }

    fn owners_change(&self) -> bool {
        self.is_changing.load(Ordering::Relaxed)
    }

    fn owner_in(&self, machine: MachineId, epoch: EpochNumber, at_login: Owner) -> Owner {
        assert_eq!((machine, at_login), (crate::miner::machine("house.m1"), Owner::House));
        assert!(epoch.0 > 0);
        Owner::Account(BUYER)
    }
}

#[tokio::test]
async fn a_share_goes_to_the_owner_of_its_epoch_though_the_login_said_another() {
    let dir = tempfile::tempdir().unwrap();
    let log = ShareLog::open(dir.path(), Options::default()).unwrap();
    let node = FakeNode::new(Arc::new(SystemClock));
    let work = LaneWork::start(lane_options(node, &log, Arc::new(SystemClock))).unwrap();
    let machines = Arc::new(Changing { is_changing: AtomicBool::new(false) });
    let gateway =
        Gateway::start(gateway_options(), Arc::new(work.clone()), machines.clone()).unwrap();
    let (client, mut events) = connect(gateway.address(), "house.m1").await;
    let job = next_job(&mut events).await;
    let mut accepted = Vec::new();
    for extranonce2 in 1u64..50 {
        machines.is_changing.store(accepted.len() >= 3, Ordering::Relaxed);
        let Some(nonce) = mine(&job, extranonce2, 64).first().copied() else { continue };
        let en2 = extranonce2.to_be_bytes();
        let reply = client.submit(&job.id, &en2, job.ntime, nonce, None).await.unwrap();
        if reply.is_accepted() {
            accepted.push(machines.owners_change());
        }
        if accepted.len() == 6 {
            break;
        }
    }
    assert_eq!(accepted, [false, false, false, true, true, true]);
    let owners: Vec<Owner> = all_records(&log)
        .into_iter()
        .filter_map(|r| match r {
            Record::Share(s) => Some(s.owner),
            _ => None,
        })
        .collect();
    let wanted: Vec<Owner> =
        accepted.iter().map(|c| if *c { Owner::Account(BUYER) } else { Owner::House }).collect();
    assert_eq!(owners, wanted);
    work.stop().await;
    gateway.shutdown().await;
}
