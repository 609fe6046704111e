//! The machines of the test's house as the gateway tells of them.

use gruve_units::{Asset, Timestamp};
use gruve_web::{LiveFarm, LiveLogReader, LiveSession};
use std::sync::Mutex;

/// The machines of the house, all connected; and its node, which is behind where nothing else was said.
#[derive(Default)]
pub struct Connected(
    pub(super) Mutex<Vec<LiveSession>>,
    Mutex<Option<&'static str>>,
    Mutex<Vec<LiveLogReader>>,
);

impl Connected {
    /// All machines have had a share just now.
    pub fn share_at(&self, at: Timestamp) {
        for s in self.0.lock().unwrap().iter_mut() {
            s.last_share_at = Some(at);
        }
    }

    /// How the node of `btc` stands.
    pub fn node_is(&self, standing: &'static str) {
        *self.1.lock().unwrap() = Some(standing);
    }

    /// How far those are who read the share logs.
    pub fn read_so_far(&self, readers: Vec<LiveLogReader>) {
        *self.2.lock().unwrap() = readers;
    }

    /// More machines connect.
    pub fn join(&self, more: Vec<LiveSession>) {
        self.0.lock().unwrap().extend(more);
    }
}

impl LiveFarm for Connected {
    fn nodes(&self) -> Vec<gruve_web::LiveNode> {
        vec![gruve_web::LiveNode {
            lane: "btc".parse().unwrap(),
            asset: Asset::Btc,
            name: "10.0.0.1:8332".to_owned(),
            standing: self.1.lock().unwrap().unwrap_or("behind"),
            is_chosen: true,
            height: Some(7),
            peers: None,
            template_age: Some(std::time::Duration::from_secs(3)),
            failures: 2,
        }]
    }

    fn log_readers(&self) -> Vec<LiveLogReader> {
        self.2.lock().unwrap().clone()
    }

    fn sessions(&self) -> Vec<LiveSession> {
        self.0.lock().unwrap().clone()
    }

    fn write_metrics(&self, out: &mut gruve_web::Exposition, whom: gruve_web::MetricsFor) {
        if whom == gruve_web::MetricsFor::Operator {
            let name = "gruve_machine_hashrate";
            out.family(name, gruve_web::FamilyKind::Gauge, "Of one machine.");
            out.sample(name, &[("machine", "rack1-01")], 1);
        }
    }
}
