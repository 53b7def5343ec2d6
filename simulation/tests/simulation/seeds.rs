//! Which seeds are run.

use std::sync::Mutex;
use std::thread;

/// Runs `scenario` with as many seeds as `SIMULATION_SEEDS` says, or `few`, from
/// `SIMULATION_SEED` on; as many beside each other as there are processors.
pub(crate) fn each_seed(test: &str, few: u64, scenario: impl Fn(u64) -> Result<(), String> + Sync) {
    let first = number("SIMULATION_SEED").unwrap_or(1);
    // Who names a seed wants that one.
    let one = number("SIMULATION_SEED").map(|_| 1);
    let count = number("SIMULATION_SEEDS").or(one).unwrap_or(few);
    let (seeds, failed) = (Mutex::new(first..first + count), Mutex::new(Vec::new()));
    let next = || seeds.lock().unwrap().next();
    let work = || {
        while let Some(seed) = next() {
            if let Err(why) = scenario(seed) {
                failed.lock().unwrap().push(format!(
                    "seed {seed}: {why}\n    SIMULATION_SEED={seed} cargo test -p gitpod-simulation {test}"
                ));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {count} seeds failed; to repeat:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}
