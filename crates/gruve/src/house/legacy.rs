//! What a lane leaves to the next program, and finds of the one before: miners, jobs, sockets.

use super::lane::RunningLane;
use crate::estate::Estate;
use gruve_stratum::{Gateway, KeptConnection};
use gruve_units::LaneId;

fn jobs_name(lane: &LaneId) -> String {
    format!("jobs of {lane}")
}

fn miner_name(lane: &LaneId, number: usize) -> String {
    format!("miner {number} of {lane}")
}

fn extranonce_name(lane: &LaneId) -> String {
    format!("extranonce of {lane}")
}

/// The jobs that an earlier program left.
pub(super) fn jobs(estate: &mut Estate, lane: &LaneId) -> Option<Vec<u8>> {
    estate.read(&jobs_name(lane))
}

/// The miners that an earlier program left, and the next extranonce.
pub(super) fn miners(estate: &mut Estate, lane: &LaneId) -> (Vec<KeptConnection>, Option<u32>) {
    let mut kept = Vec::new();
    loop {
        let name = miner_name(lane, kept.len());
        let (Some(socket), Some(paper)) = (estate.take(&name), estate.read(&name)) else { break };
        kept.push(KeptConnection { socket: socket.into(), paper });
    }
    let next = estate.read(&extranonce_name(lane)).and_then(|p| p.try_into().ok());
    (kept, next.map(u32::from_be_bytes))
}

impl RunningLane {
    /// Stops serving and making jobs, and leaves sockets, miners and jobs to the estate.
    pub(super) async fn hand_over(&self, gateway: Gateway, estate: &mut Estate) {
        let left = gateway.hand_over().await;
        left.listeners.into_iter().for_each(|listener| estate.leave_listener(listener));
        tracing::info!(lane = %self.id, miners = left.connections.len(), "miners are set aside");
        for (number, kept) in left.connections.into_iter().enumerate() {
            let name = miner_name(&self.id, number);
            estate.leave(name.clone(), kept.socket);
            estate.write(name, kept.paper);
        }
        estate.write(extranonce_name(&self.id), left.next_extranonce.to_be_bytes().to_vec());
        if let Some(jobs) = self.work.keep() {
            estate.write(jobs_name(&self.id), jobs);
        }
        self.work.stop().await;
    }
}
