//! One run, from a seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::admin::{WORKSPACES, Wishes, administer};
use crate::fate::Fate;
use crate::hosts::{self, Disks};
use crate::judge::judge;
use crate::platform::PODS;
use crate::reach::Asks;
use crate::visitor::{VISITORS, visit};

/// Everything there is, in one thread.
pub(crate) struct Scenario {
    seed: u64,
    asks: Asks,
}

/// What a run that went well has seen.
#[derive(Debug)]
pub(crate) struct Told {
    /// By workspaces.
    pub(crate) answers: usize,
}

impl Scenario {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            asks: Asks::WhoIsThere,
        }
    }

    /// With a proxy that takes whoever is at an address for who was there.
    pub(crate) fn with_gullible_proxy(mut self) -> Self {
        self.asks = Asks::Nobody;
        self
    }

    pub(crate) fn run(&self) -> Result<Told, String> {
        let mut sim = turmoil::Builder::new()
            .rng_seed(self.seed)
            .simulation_duration(Duration::from_secs(600))
            .tick_duration(Duration::from_millis(10))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(20))
            .tcp_capacity(4096)
            .enable_random_order()
            .build();
        let disks = Disks::new();
        let (wishes, answers) = (Wishes::default(), Arc::new(AtomicUsize::new(0)));
        self.add_servers(&mut sim, &disks);
        for number in 0..WORKSPACES.len() {
            let (store, wishes) = (disks.store.clone(), wishes.clone());
            // All on one host would be one host: each has its own way to the manager.
            let name = ["admin", "admin-1", "admin-2"][number];
            sim.client(name, administer(number, self.seed, store, wishes));
        }
        for number in 0..VISITORS {
            let (disks, wishes) = (disks.clone(), wishes.clone());
            let visit = visit(number, self.seed, disks, wishes, Arc::clone(&answers));
            sim.client(format!("visitor-{number}"), visit);
        }
        let heard = disks.publisher.subscribe();
        sim.client("judge", judge(disks.clone(), wishes, heard));

        let mut fate = Fate::new(self.seed, disks.platform);
        if self.asks == Asks::Nobody {
            fate = fate.with_deaf_proxy();
        }
        loop {
            fate.strike(&mut sim);
            if sim.step().map_err(|why| why.to_string())? {
                let answers = answers.load(Ordering::Relaxed);
                return Ok(Told { answers });
            }
        }
    }

    fn add_servers(&self, sim: &mut turmoil::Sim<'_>, disks: &Disks) {
        let (at_manager, at_bridge, asks) = (disks.clone(), disks.clone(), self.asks);
        sim.host("manager", move || hosts::manager(at_manager.clone()));
        sim.host("bridge", move || hosts::bridge(at_bridge.clone()));
        let platform = disks.platform.clone();
        sim.host("proxy", move || hosts::proxy(platform.clone(), asks));
        for pod in PODS {
            let platform = disks.platform.clone();
            sim.host(pod, move || hosts::pod(platform.clone(), pod));
        }
    }
}
