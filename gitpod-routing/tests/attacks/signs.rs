//! What others can read off: metrics, and the time that things take.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use gitpod_routing::OwnerToken;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tokio::time::Instant;

use crate::support::*;
use crate::world::World;

/// Remembers which metrics were written, with their labels.
#[derive(Clone, Default)]
struct Keys(Arc<Mutex<BTreeSet<String>>>);

impl Keys {
    fn note(&self, key: &Key) {
        let labels = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()));
        let labels: Vec<String> = labels.collect();
        self.0
            .lock()
            .unwrap()
            .insert(format!("{}{labels:?}", key.name()));
    }
}

impl Keys {
    /// Those that hold something of a request.
    fn chosen_by_clients(&self) -> Vec<String> {
        let keys = self.0.lock().unwrap();
        let is_chosen = |key: &&String| {
            let parts = ["inject", ID, TOKEN];
            !key.is_ascii() || parts.iter().any(|part| key.contains(part))
        };
        keys.iter().filter(is_chosen).cloned().collect()
    }
}

impl Recorder for Keys {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.note(key);
        Counter::noop()
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key);
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key);
        Histogram::noop()
    }
}

#[test]
fn attack_51_nothing_that_a_client_chooses_becomes_a_label() {
    let keys = Keys::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&keys, || runtime.block_on(strange_requests()));
    let seen = keys.0.lock().unwrap().clone();
    assert!(seen.iter().any(|key| key.contains("method=")), "{seen:?}");
    assert!(seen.len() < 60, "{} of them: {seen:?}", seen.len());
    assert_eq!(keys.chosen_by_clients(), [""; 0]);
    // One that did would be found.
    metrics::with_local_recorder(&keys, || {
        metrics::counter!("requests", "host" => "inject7.ws.example.com").increment(1);
    });
    assert_eq!(keys.chosen_by_clients().len(), 1);
}

async fn strange_requests() {
    let world = World::new().await;
    for number in 0..100 {
        for host in [
            world.host(),
            format!("inject{number}.{DOMAIN}"),
            format!("{number}-{ID}.{DOMAIN}"),
        ] {
            let head = crlf(&format!(
                "INJECT{number} /inject{number}?inject HTTP/1.1\nhost: {host}\nconnection: close\n\
                 user-agent: inject{number}\"}}\nx-inject{number}: 1\norigin: https://inject{number}.test\n\n"
            ));
            world.send(head).await;
        }
    }
}

/// A token of a mebibyte makes what early ends save a thousand times of what they cost: if
/// comparing stopped at the first difference, one of these would take next to no time.
#[test]
fn attack_52_comparing_tokens_takes_as_long_wherever_they_differ() {
    let right = "t".repeat(1 << 20);
    let token = OwnerToken::new(right.clone());
    let even = spread(&right, |wrong| token.matches(wrong));
    assert!(even < 3.0, "the longest takes {even} times as long");
    // What stops at the first difference is found out.
    let uneven = spread(&right, |wrong| right.as_bytes() == wrong);
    assert!(uneven > 3.0, "only {uneven} times");
}

/// How much longer `compare` takes for one text that differs from `right` than for another one.
fn spread(right: &str, compare: impl Fn(&[u8]) -> bool) -> f64 {
    let differing_at = |at: usize| {
        let mut wrong = right.as_bytes().to_vec();
        wrong[at] = b'x';
        wrong
    };
    let presented = [
        differing_at(0),
        differing_at(right.len() / 2),
        differing_at(right.len() - 1),
    ];
    // The shortest of many is what the work itself takes, without what comes in between.
    let mut shortest = [std::time::Duration::MAX; 3];
    for _ in 0..30 {
        for (shortest, wrong) in shortest.iter_mut().zip(&presented) {
            let began = Instant::now();
            assert!(!std::hint::black_box(compare(std::hint::black_box(wrong))));
            *shortest = began.elapsed().min(*shortest);
        }
    }
    let seconds = shortest.map(|it| it.as_secs_f64().max(1e-9));
    seconds.iter().copied().fold(0.0, f64::max) / seconds.iter().copied().fold(f64::MAX, f64::min)
}
