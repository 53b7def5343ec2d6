//! A network of real `nebula` processes: server, lighthouse, proxy and environment, each on a machine of its own.
//!
//! The machines are network namespaces joined by a bridge, which needs root and `/dev/net/tun`. Where that is
//! not to be had, the test says so and does nothing; it does not fail, as no installation can change it.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use serde_json::{Value, json};
use support::testing::{Authority, Program, binary, cannot_run, wait_until};
use tempfile::TempDir;

/// Namespaces with addresses 10.77.0.N; gone when dropped.
struct Machines(String);

impl Machines {
    /// `None`, with a loud word, where namespaces cannot be had.
    fn new(names: &[&str]) -> Option<Self> {
        let machines = Self(format!("gwt{}", std::process::id()));
        let permitted =
            ip(&["netns", "add", &machines.name("switch")]).is_some_and(|out| out.status.success());
        if !permitted || !Path::new("/dev/net/tun").exists() {
            cannot_run(
                "network namespaces and /dev/net/tun are not to be had here; run as root where they are",
            );
            return None;
        }
        machines.on_switch(&["link", "add", "br0", "type", "bridge"]);
        machines.on_switch(&["address", "add", "10.77.0.1/24", "dev", "br0"]);
        machines.on_switch(&["link", "set", "br0", "up"]);
        for (place, name) in names.iter().enumerate() {
            machines.connect(name, &format!("10.77.0.{}/24", place + 2));
        }
        Some(machines)
    }

    fn name(&self, machine: &str) -> String {
        format!("{}-{machine}", self.0)
    }

    fn on_switch(&self, arguments: &[&str]) {
        succeeds(&[&["-n", &self.name("switch")], arguments].concat());
    }

    fn connect(&self, machine: &str, address: &str) {
        let name = self.name(machine);
        succeeds(&["netns", "add", &name]);
        let port = format!("to-{machine}");
        self.on_switch(&[
            "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &name,
        ]);
        self.on_switch(&["link", "set", &port, "master", "br0", "up"]);
        succeeds(&["-n", &name, "address", "add", address, "dev", "eth0"]);
        succeeds(&["-n", &name, "link", "set", "eth0", "up"]);
        succeeds(&["-n", &name, "link", "set", "lo", "up"]);
    }

    fn on(&self, machine: &str, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name(machine)])
            .arg(program);
        command
    }

    /// Whether one packet comes back within a second.
    fn ping(&self, from: &str, to: &str) -> bool {
        let mut ping = self.on(from, "ping".as_ref());
        ping.args(["-c", "1", "-W", "1", to]);
        ping.stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    }
}

impl Machines {
    /// How a connection to a port fails on which nobody listens: at once if packets come through. (A ping would
    /// not do: to nebula it belongs to whatever ping came from the other side before.)
    fn connect_to(&self, from: &str, to: &str) -> String {
        let code = format!(
            "import socket\ntry: socket.create_connection(('{to}', 9), 2)\nexcept Exception as why: print(type(why).__name__)"
        );
        let mut python = self.on(from, "python3".as_ref());
        let output = python.args(["-c", &code]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        let listed = ip(&["netns", "list"]).unwrap().stdout;
        for line in String::from_utf8_lossy(&listed).lines() {
            let name = line.split(' ').next().unwrap_or_default();
            if name.starts_with(&format!("{}-", self.0)) {
                // A test that has failed leaves programs: they are all that runs here.
                let inside = ip(&["netns", "pids", name]).unwrap().stdout;
                for pid in String::from_utf8_lossy(&inside).split_whitespace() {
                    let _ = Command::new("kill").args(["-s", "KILL", pid]).status();
                }
                let _ = ip(&["netns", "delete", name]);
            }
        }
    }
}

fn ip(arguments: &[&str]) -> Option<Output> {
    Command::new("ip").args(arguments).output().ok()
}

fn succeeds(arguments: &[&str]) {
    let output = ip(arguments).unwrap();
    assert!(output.status.success(), "ip {arguments:?}: {output:?}");
}

/// The network, and what an operator does with it.
struct Network {
    machines: Machines,
    dir: TempDir,
    _server: Program,
}

impl Network {
    fn start(machines: Machines) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let _ = Authority::new().write(dir.path(), "tls", "gateway.test");
        let config = json!({
            "listen": {"addr": "10.77.0.1:8443", "tls": {"crt": dir.path().join("tls.crt"), "key": dir.path().join("tls.key")}},
            "stateDir": dir.path().join("server"),
            "network": {"name": "mesh", "cidr": "10.128.0.0/16", "environmentLifetime": "15s", "pollInterval": "1s"},
        });
        let server = run(
            &machines,
            "switch",
            &binary("gateway-server"),
            dir.path(),
            &config,
        );
        let _ = server.logged("operators", |line| line["what"] == "operators");
        Self {
            machines,
            dir,
            _server: server,
        }
    }

    fn operator(&self, arguments: &[&str]) -> Value {
        let output = Command::new(binary("gateway-server"))
            .arg("host")
            .args(arguments)
            .arg("--state-dir")
            .arg(self.dir.path().join("server"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Adds a host, and returns its address in the network.
    fn add(&self, name: &str, arguments: &[&str]) -> String {
        let added = self.operator(&[&["add", name], arguments].concat());
        std::fs::create_dir(self.dir.path().join(name)).unwrap();
        let token = self.dir.path().join(name).join("token");
        std::fs::write(token, added["token"].as_str().unwrap()).unwrap();
        let address = added["host"]["address"].as_str().unwrap();
        address.split('/').next().unwrap().to_owned()
    }

    fn node(&self, name: &str, port: u16) -> Program {
        let dir = self.dir.path().join(name);
        let config = json!({
            "server": {"addr": "10.77.0.1:8443", "name": "gateway.test", "ca": self.dir.path().join("ca.crt")},
            "stateDir": dir.join("state"),
            "tokenFile": dir.join("token"),
            "nebula": {"port": port},
        });
        let program = env!("CARGO_BIN_EXE_gateway-node");
        run(&self.machines, name, program.as_ref(), &dir, &config)
    }
}

fn run(machines: &Machines, machine: &str, program: &Path, dir: &Path, config: &Value) -> Program {
    let file = dir.join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let mut command = machines.on(machine, program);
    command.arg("run").arg(file);
    Program::start(command)
}

#[test]
fn hosts_join_meet_renew_and_are_shut_out() {
    let Some(machines) = Machines::new(&["light", "proxy", "env"]) else {
        return;
    };
    let network = Network::start(machines);
    network.add(
        "light",
        &["--kind", "lighthouse", "--endpoint", "10.77.0.2:4242"],
    );
    let proxy_address = network.add("proxy", &["--kind", "proxy"]);
    let environment = network.add("env", &["--kind", "environment"]);
    let light = network.node("light", 4242);
    let _ = light.logged("the lighthouse", |line| line["message"] == "nebula runs");
    let proxy = network.node("proxy", 0);
    let env = network.node("env", 0);

    // The proxy reaches the environment, and nobody is reached from there.
    let machines = &network.machines;
    wait_until("a ping through the overlay", || {
        machines.ping("proxy", &environment)
    });
    assert_eq!(
        machines.connect_to("proxy", &environment),
        "ConnectionRefusedError"
    );
    assert_eq!(machines.connect_to("env", &proxy_address), "TimeoutError");

    // Private keys are where they were made, and nowhere else.
    let key = std::fs::read_to_string(network.dir.path().join("env/state/host.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    let kept = std::fs::read_to_string(network.dir.path().join("server/network.json")).unwrap();
    assert!(!kept.contains(secret) && !env.log().contains(secret));

    // Certificates of 15 seconds: traffic goes on over the next one.
    let _ = env.logged("a new certificate", |line| line["certificate"] == true);
    assert!(machines.ping("proxy", &environment));

    // A node that was ended by force leaves its nebula; the next one takes over.
    env.kill();
    let env = network.node("env", 0);
    let _ = env.logged("the leftover", |line| {
        line["message"]
            .as_str()
            .is_some_and(|it| it.contains("has left"))
    });
    wait_until("a ping after a restart", || {
        machines.ping("proxy", &environment)
    });

    // Blocked, and out within two ticks of nebula's.
    network.operator(&["block", "env"]);
    let blocked = SystemTime::now();
    wait_until("the end of its tunnel", || {
        !machines.ping("proxy", &environment)
    });
    assert!(
        blocked.elapsed().unwrap().as_secs() < 30,
        "{:?}",
        blocked.elapsed()
    );

    // With a new token it makes new keys, and is back without a restart.
    let token = network.operator(&["token", "env"]);
    let file = network.dir.path().join("env/token");
    std::fs::write(file, token["token"].as_str().unwrap()).unwrap();
    wait_until("a ping after joining anew", || {
        machines.ping("proxy", &environment)
    });

    for program in [env, proxy, light] {
        assert!(program.stop().success());
    }
}
