//! What goes wrong, and when.

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use turmoil::Sim;

use crate::platform::Platform;

/// Until when things go wrong. From then on the network is whole and all hosts run.
pub(crate) const CALM: Duration = Duration::from_secs(60);

const PAIRS: [(&str, &str); 8] = [
    ("manager", "proxy"),
    ("manager", "proxy"),
    ("manager", "bridge"),
    ("manager", "admin"),
    ("proxy", "pod-0"),
    ("proxy", "pod-1"),
    ("proxy", "pod-2"),
    ("proxy", "visitor-0"),
];
const HOSTS: [&str; 6] = ["manager", "bridge", "proxy", "pod-0", "pod-1", "pod-2"];

#[derive(Clone, Copy, Debug)]
enum Event {
    /// Messages between the two are lost.
    Partition(&'static str, &'static str),
    /// Messages between the two wait.
    Hold(&'static str, &'static str),
    Repair(&'static str, &'static str),
    Release(&'static str, &'static str),
    Crash(&'static str),
    Start(&'static str),
    /// A program ends by itself, the nth of those that run.
    End(usize),
    /// A pod vanishes without a trace.
    Lose(usize),
    /// Everything takes up to so many milliseconds.
    Latency(u64),
}

/// The plan of one run.
pub(crate) struct Fate {
    platform: Platform,
    /// The last comes first.
    events: Vec<(Duration, Event)>,
}

impl Fate {
    pub(crate) fn new(seed: u64, platform: Platform) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut events = Vec::new();
        let mut at = Duration::from_secs(3);
        while at < CALM {
            let lasts = Duration::from_millis(random.random_range(50..25_000));
            let until = (at + lasts).min(CALM);
            let (a, b) = *PAIRS.choose(&mut random).unwrap();
            let host = *HOSTS.choose(&mut random).unwrap();
            match random.random_range(0..7) {
                0 => events.extend([(at, Event::Partition(a, b)), (until, Event::Repair(a, b))]),
                1 => events.extend([(at, Event::Hold(a, b)), (until, Event::Release(a, b))]),
                2 => events.extend([(at, Event::Crash(host)), (until, Event::Start(host))]),
                3 => events.push((at, Event::End(random.random_range(0..3)))),
                4 => events.push((at, Event::Lose(random.random_range(0..3)))),
                _ => events.push((at, Event::Latency(random.random_range(1..400)))),
            }
            at += Duration::from_millis(random.random_range(100..4000));
        }
        events.push((CALM, Event::Latency(5)));
        events.extend(PAIRS.map(|(a, b)| (CALM, Event::Repair(a, b))));
        events.extend(PAIRS.map(|(a, b)| (CALM, Event::Release(a, b))));
        events.extend(HOSTS.map(|host| (CALM, Event::Start(host))));
        events.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Self { platform, events }
    }

    /// The proxy hears nothing for most of the time.
    pub(crate) fn with_deaf_proxy(mut self) -> Self {
        let (begin, end) = (Duration::from_secs(5), Duration::from_secs(55));
        self.events
            .retain(|(_, event)| !matches!(event, Event::Repair("manager", "proxy")));
        self.events
            .push((begin, Event::Partition("manager", "proxy")));
        self.events.push((end, Event::Repair("manager", "proxy")));
        self.events.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        self
    }

    /// Does what is due.
    pub(crate) fn strike(&mut self, sim: &mut Sim<'_>) {
        while self
            .events
            .last()
            .is_some_and(|(at, _)| *at <= sim.elapsed())
        {
            if let Some((_, event)) = self.events.pop() {
                self.happen(sim, event);
            }
        }
    }

    fn happen(&self, sim: &mut Sim<'_>, event: Event) {
        match event {
            Event::Partition(a, b) => {
                sim.partition(a, b);
                self.platform.note_loss(b);
            }
            Event::Hold(a, b) => sim.hold(a, b),
            Event::Repair(a, b) => sim.repair(a, b),
            Event::Release(a, b) => sim.release(a, b),
            Event::Crash(host) if sim.is_host_running(host) => {
                sim.crash(host);
                self.platform.note_loss(host);
            }
            Event::Start(host) if !sim.is_host_running(host) => sim.bounce(host),
            Event::Crash(_) | Event::Start(_) => {}
            Event::End(number) => self.of_program(number, Platform::end),
            Event::Lose(number) => self.of_program(number, Platform::lose),
            Event::Latency(most) => sim.set_max_message_latency(Duration::from_millis(most)),
        }
    }

    fn of_program(&self, number: usize, what: impl Fn(&Platform, &gitpod_routing::InstanceId)) {
        if let Some(instance) = self.platform.placed().get(number) {
            what(&self.platform, instance);
        }
    }
}
