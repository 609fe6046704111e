//! The platform running: every room opened, wired and started in one process.
//!
//! Promises: nothing listens before the books are open and migrated; a fatal error of any part is
//! told by [`House::failed`] and stops the whole; stopping ends in an order that loses nothing
//! (miners first, books last).

mod acceptance;
mod answers;
mod bank;
mod begun;
mod bucket;
mod chores;
mod error;
mod eth_sink;
mod ethash;
pub mod files;
mod following;
mod gauge;
mod hooks;
mod hosted;
mod in_block;
pub mod keys;
mod lane;
mod legacy;
mod listeners;
mod log_readers;
pub mod messages;
mod metrics;
mod mirror;
mod network;
pub(crate) mod nodes;
mod outgoing;
pub mod parts;
mod pay_in_chain;
mod post;
mod prices;
pub mod receipts;
pub mod record;
mod rules;
mod sink;
mod smtp;
mod trimming;
mod wallets;
mod web;
mod witnesses;

pub use bank::import_file;
pub(crate) use begun::has_tables;
pub use error::{HouseError, StartError};
pub(crate) use hosted::coins_back;
pub use nodes::chain_params;
pub use parts::Parts;
pub use pay_in_chain::PayInParts;
pub(crate) use prices::dollars;
pub use rules::check;

use crate::config::Config;
use crate::estate::Estate;
use crate::funds::Desk;
use answers::{Gateways, Line};
use files::Holding;
use gruve_units::{
    CLOCK_SLACK, Clock, LaneId, SteadyClock, SystemClock, SystemEntropy, SystemMonotonic,
};
use gruve_web::AppState;
use lane::RunningLane;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long parts may take to end before they are cut off. What counts is on disk by then.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// A running platform.
pub struct House {
    http: SocketAddr,
    metrics: Option<SocketAddr>,
    /// The web's listening socket once more, to be handed over.
    http_socket: std::net::TcpListener,
    lanes: Vec<RunningLane>,
    gateways: Gateways,
    stopping: watch::Sender<bool>,
    tasks: JoinSet<Result<(), String>>,
    parts: Parts,
}

impl House {
    /// Opens everything and starts, on the sockets that an earlier program left where there are
    /// any.
    ///
    /// # Errors
    /// When a file, the database or a port cannot be used; the text says which and what to do.
    pub async fn start(config: Config, estate: &mut Estate) -> Result<House, StartError> {
        // Every room sees the same time, and none a jump forward.
        let monotonic = Arc::new(SystemMonotonic::start());
        let steady = SteadyClock::start(Arc::new(SystemClock), monotonic, CLOCK_SLACK);
        let clock: Arc<dyn Clock> = Arc::new(steady);
        let parts = Parts::begin(&config, Holding::Alone, clock, Arc::new(SystemEntropy)).await?;
        let http = parts::listen(config.http.listen, "http.listen", estate)?;
        let http_address = http.local_addr().map_err(StartError::Socket)?;
        let http_socket = http.try_clone().map_err(StartError::Socket)?;
        let (stopping, stopped) = watch::channel(false);
        let (mut tasks, gateways) = (JoinSet::new(), Gateways::default());
        // Before any epoch is closed: what is closed without it is never published.
        let publishing = parts.publish(&config).await?;
        let shelf = publishing.shelf();
        if let Some(mirror) = &config.record.mirror {
            let mirror = mirror::Mirror::open(mirror, shelf.clone()).map_err(StartError::Mirror)?;
            tasks.spawn(mirror::run(mirror, stopped.clone()));
        }
        tasks.spawn(record::run(publishing.clone(), parts.market.clone(), stopped.clone()));
        let mut lanes = Vec::new();
        for lane in &config.lanes {
            let lane = lane::start(lane, &parts, &gateways, estate, &mut tasks, &stopped)?;
            let signing = lane.signing(&parts, publishing.clone(), &config.house.data);
            tasks.extend(signing.map(|s| s.run(stopped.clone())));
            lanes.push(lane);
        }
        let mut pay_ins = Vec::new();
        for chain in &parts.pay_ins {
            let standing = pay_in_chain::start(chain, &parts, &mut tasks, &stopped);
            pay_ins.push((chain.name.clone(), chain.asset, standing));
        }
        chores::start_money(&config, &parts, &mut tasks, &stopped);
        chores::start_farm(&config, &parts, &gateways, &mut tasks, &stopped)?;

        let line = Line::of(&parts, &lanes, gateways.clone(), pay_ins);
        let desk = Desk::open(&config, &parts).map_err(StartError::Funds)?;
        if let Some(every) = config.funds.every {
            tasks.spawn(desk.clone().keep_stating(every.0, stopped.clone()));
        }
        let settings = web::config(&config, &lanes, shelf, &desk)?;
        let state = AppState::open(web::services(&parts, line), settings).await?;
        let metrics = metrics::serve(&config.metrics, &state, estate, &mut tasks, &stopped)?;
        let listener = tokio::net::TcpListener::from_std(http).map_err(StartError::Socket)?;
        let mut ends = stopped.clone();
        tasks.spawn(async move {
            let over = async move { drop(ends.wait_for(|s| *s).await) };
            Box::pin(gruve_web::serve(listener, state, over))
                .await
                .map_err(|e| format!("the web server: {e}"))
        });
        let http = http_address;
        Ok(House { http, metrics, http_socket, lanes, gateways, stopping, tasks, parts })
    }

    /// Where dashboards and API are.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where the operator's metrics are, if not with the dashboards.
    #[must_use]
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Where machines connect, lane by lane.
    #[must_use]
    pub fn stratum(&self) -> Vec<(LaneId, SocketAddr)> {
        self.lanes.iter().map(|l| (l.id.clone(), l.stratum)).collect()
    }

    /// Whom blocks must pay that a node makes by itself, lane by lane.
    #[must_use]
    pub fn pays_to(&self) -> Vec<(LaneId, String)> {
        let lanes = self.parts.market.config().lanes.iter();
        let paid = lanes.filter_map(|l| Some((l, self.parts.treasury.hot_address(l.asset).ok()?)));
        paid.map(|(lane, address)| (lane.lane.clone(), address.to_string())).collect()
    }

    /// Where V2 machines and proxies connect, and the key that they pin, lane by lane.
    #[must_use]
    pub fn stratum_v2(&self) -> Vec<(LaneId, SocketAddr, &str)> {
        let v2 = self.lanes.iter().filter_map(|l| l.stratum_v2.as_ref().map(|v2| (&l.id, v2)));
        v2.map(|(lane, (address, key))| (lane.clone(), *address, key.as_str())).collect()
    }

    /// Where machines connect encrypted, and the certificate's fingerprint, lane by lane.
    #[must_use]
    pub fn stratum_tls(&self) -> Vec<(LaneId, SocketAddr, String)> {
        let tls = self.lanes.iter().filter_map(|l| l.stratum_tls.as_ref().map(|tls| (&l.id, tls)));
        tls.map(|(id, (address, tls))| (id.clone(), *address, tls.fingerprint().to_string()))
            .collect()
    }

    /// The opened rooms.
    #[must_use]
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Returns when a part has stopped for good, with what it said.
    pub async fn failed(&mut self) -> String {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(why))) => return why,
                Some(Err(e)) => return format!("a part of the house broke: {e}"),
                None => return "every part of the house has stopped".to_owned(),
            }
        }
    }

    /// Stops: miners first, then work, then books.
    pub async fn stop(self) {
        for gateway in self.gateways.take() {
            gateway.shutdown().await;
        }
        for lane in &self.lanes {
            lane.work.stop().await;
        }
        self.close().await;
    }

    /// Stops as [`House::stop`] does, and leaves sockets, miners and their jobs for a house that
    /// goes on with them. What the miners send meanwhile waits in the kernel.
    pub async fn hand_over(self) -> Estate {
        let mut estate = Estate::default();
        // Lanes and gateways were begun in the same order.
        for (lane, gateway) in self.lanes.iter().zip(self.gateways.take()) {
            lane.hand_over(gateway, &mut estate).await;
        }
        match self.http_socket.try_clone() {
            Ok(socket) => estate.leave_listener(socket),
            Err(error) => tracing::warn!(%error, "the web's port will be closed for a moment"),
        }
        self.close().await;
        estate
    }

    async fn close(mut self) {
        self.stopping.send_replace(true);
        let ending = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, ending).await.is_err() {
            tracing::warn!("some parts did not end in time and are cut off");
            self.tasks.abort_all();
        }
        self.parts.store.close().await;
    }
}
