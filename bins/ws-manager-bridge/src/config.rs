//! The configuration: keys of the reference, and `store`, `prometheus` and `health`, which are ours.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use gitpod_bridge::{ControllerSettings, SweepTimeouts};
use support::config::{Document, Section};
use support::listen::Address;
use support::tls::Files;

/// Everything that is needed, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) controller: ControllerSettings,
    pub(crate) database: PathBuf,
    pub(crate) register: Register,
    pub(crate) metrics: Option<Address>,
    pub(crate) health: Option<Address>,
}

/// One manager.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) tls: Option<Files>,
}

/// What becomes of instances without row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Register {
    /// They get one.
    Them,
    /// They are left out: a server makes rows.
    Nobody,
}

/// Makes a configuration of `document`, or says what is wrong.
pub(crate) fn check(document: &Document) -> Option<Config> {
    let root = document.root();
    let clusters = clusters(&root);
    let controller = controller(&root);
    let store = root.section("store");
    let database = store.required("sqlite");
    let register = match store.optional("register") {
        Some(true) => Register::Them,
        Some(false) | None => Register::Nobody,
    };
    let metrics = root.section("prometheus").optional("addr");
    let health = root.section("health").optional("addr");
    for (key, why) in [
        ("installation", "app clusters come with a later version"),
        (
            "clusterService",
            "the registry of clusters comes with a later version",
        ),
        (
            "wsClusterDBReconcileIntervalSeconds",
            "the registry of clusters comes with a later version",
        ),
        (
            "redis",
            "announcements are printed; Redis comes with a later version",
        ),
        (
            "clusterSyncIntervalSeconds",
            "the reference does not use it either",
        ),
        (
            "emulatePreparingIntervalSeconds",
            "the reference does not use it either",
        ),
    ] {
        root.without_effect(key, why);
    }
    Some(Config {
        clusters: clusters?,
        controller,
        database: database?,
        register,
        metrics,
        health,
    })
}

fn clusters(root: &Section<'_>) -> Option<Vec<Cluster>> {
    let sections = root.list("staticBridges");
    if sections.is_empty() {
        root.problem(
            "staticBridges",
            "names no manager",
            r#"[{"name": "local", "url": "unix:/path"}]"#,
        );
    }
    let mut names = BTreeSet::new();
    let clusters: Vec<_> = sections
        .iter()
        .map(|section| cluster(section, &mut names))
        .collect();
    clusters.into_iter().collect()
}

fn cluster(section: &Section<'_>, names: &mut BTreeSet<String>) -> Option<Cluster> {
    let name = section.required::<String>("name");
    let address = section.required("url");
    let tls = section.optional_section("tls");
    let tls = tls.and_then(|tls| Files::all_or_none(&tls));
    for key in [
        "state",
        "maxScore",
        "score",
        "govern",
        "admissionConstraints",
        "region",
        "applicationCluster",
    ] {
        section.without_effect(
            key,
            "it is for whoever chooses a cluster for a new workspace",
        );
    }
    let name = name?;
    if !names.insert(name.clone()) {
        section.problem(
            "name",
            format!("{name:?} is the name of another one"),
            "a name of its own",
        );
    }
    Some(Cluster {
        name,
        address: address?,
        tls,
    })
}

fn controller(root: &Section<'_>) -> ControllerSettings {
    let mut settings = ControllerSettings::default();
    let mut sweep = SweepTimeouts::default();
    set(root, "controllerIntervalSeconds", &mut settings.interval);
    set(
        root,
        "controllerMaxDisconnectSeconds",
        &mut settings.max_disconnect,
    );
    let timeouts = root.section("timeouts");
    for (key, limit) in [
        ("preparingPhaseSeconds", &mut sweep.preparing),
        ("buildingPhaseSeconds", &mut sweep.building),
        ("unknownPhaseSeconds", &mut sweep.unknown),
        ("pendingPhaseSeconds", &mut sweep.pending),
        ("stoppingPhaseSeconds", &mut sweep.stopping),
    ] {
        let mut configured = Duration::try_from(*limit).unwrap_or_default();
        set(&timeouts, key, &mut configured);
        *limit = configured.try_into().unwrap_or(*limit);
    }
    settings.timeouts = sweep;
    settings
}

/// Seconds; what is absent stays as it is.
fn set(section: &Section<'_>, key: &str, duration: &mut Duration) {
    if let Some(seconds) = section.optional::<usize>(key) {
        *duration = Duration::from_secs(seconds.try_into().unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_of_the_installer_is_read_and_mistakes_are_named() {
        let good = r#"{"installation": "main", "staticBridges": [{"name": "c1", "url": "dns:///ws-manager-mk2:8080", "score": 50}],
            "controllerIntervalSeconds": 30, "timeouts": {"pendingPhaseSeconds": 60}, "redis": {"address": "r:6379"},
            "store": {"sqlite": "/x.db", "register": true}, "typo": 1}"#;
        let document = Document::parse(good).unwrap();
        let config = check(&document);
        let checked = document.finish(config).unwrap();
        assert_eq!(checked.config.controller.interval, Duration::from_secs(30));
        assert_eq!(
            checked.config.clusters[0].address.to_string(),
            "ws-manager-mk2:8080"
        );
        assert_eq!(checked.unknown, ["typo"]);
        let keys: Vec<_> = checked
            .without_effect
            .iter()
            .map(|(key, _)| &**key)
            .collect();
        assert_eq!(keys, ["staticBridges[0].score", "installation", "redis"]);

        let bad = r#"{"staticBridges": [{"name": "c1", "url": "x:1"}, {"name": "c1", "url": "nowhere"}], "controllerIntervalSeconds": -1}"#;
        let document = Document::parse(bad).unwrap();
        let config = check(&document);
        let told = document.finish(config).unwrap_err().to_string();
        for expected in [
            "staticBridges[1].url: \"nowhere\": has no port",
            "staticBridges[1].name: \"c1\" is the name of another one",
            "controllerIntervalSeconds: -1 is not such a number; write a whole number",
            "store.sqlite: is missing; write the path",
        ] {
            assert!(told.contains(expected), "{told}");
        }
    }
}
