//! Commands for operators: clients of the socket in the state directory.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use gitpod_gateway::HostKind;
use serde_json::{Value, json};
use support::ask::Client;
use support::listen::Address;

use crate::wire::ADMIN_SOCKET;

#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// Add a host; prints it with the token that lets it join once
    Add {
        #[command(flatten)]
        state: StateArgs,
        /// Its name: labels of lower-case letters, digits and dashes
        name: String,
        /// lighthouse, proxy, runner or environment
        #[arg(long)]
        kind: HostKind,
        /// Where others reach a lighthouse, as host:port; may be repeated
        #[arg(long = "endpoint")]
        endpoints: Vec<String>,
    },
    /// Print all hosts
    List {
        #[command(flatten)]
        state: StateArgs,
    },
    /// Print a token that lets a host join anew
    Token {
        #[command(flatten)]
        state: StateArgs,
        name: String,
    },
    /// Shut a host out: others refuse it as soon as they have asked for changes
    Block {
        #[command(flatten)]
        state: StateArgs,
        name: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct StateArgs {
    /// The stateDir of the server's configuration
    #[arg(long, env = "GATEWAY_STATE_DIR")]
    state_dir: PathBuf,
}

/// Asks the server, and prints what it answers as JSON.
pub(crate) fn run(command: HostCommand) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let done = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(ask(command)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why:#}");
            ExitCode::FAILURE
        }
    }
}

async fn ask(command: HostCommand) -> anyhow::Result<()> {
    let answer = match command {
        HostCommand::Add {
            state,
            name,
            kind,
            endpoints,
        } => {
            let added = json!({ "name": name, "kind": kind.as_str(), "endpoints": endpoints });
            client(&state).post("/v1/hosts", &added).await
        }
        HostCommand::List { state } => client(&state).get("/v1/hosts").await,
        HostCommand::Token { state, name } => {
            client(&state)
                .post(&format!("/v1/hosts/{name}/token"), &Value::Null)
                .await
        }
        HostCommand::Block { state, name } => {
            client(&state)
                .post(&format!("/v1/hosts/{name}/block"), &Value::Null)
                .await
        }
    };
    let answer = answer.context("is the server running, and is this its --state-dir?")?;
    if !answer.status.is_success() {
        let message = answer
            .value
            .pointer("/error/message")
            .and_then(Value::as_str);
        bail!("{}", message.unwrap_or("the server refused"));
    }
    let text = serde_json::to_string_pretty(&answer.value)?;
    writeln!(std::io::stdout(), "{text}").context("cannot print")
}

fn client(state: &StateArgs) -> Client {
    Client::new(Address::Unix(state.state_dir.join(ADMIN_SOCKET)), None)
}
