//! `gitpod logs`.

use std::collections::BTreeMap;

use super::again::{TRIES, is_lost};
use super::connect::{connect, failure};
use super::describe::state;
use crate::cli::LogsArgs;
use crate::exit::Failure;
use crate::local::{DescribeRequest, DescribeResponse, LogsRequest};
use crate::print::{self, Reader};

/// Prints what a workspace's tasks print.
///
/// With more than one task, a line tells which one speaks.
pub(crate) async fn logs(args: LogsArgs) -> Result<(), Failure> {
    let mut request = LogsRequest {
        workspace_id: args.id.clone(),
        follow: args.follow,
        task: args.task.clone().unwrap_or_default(),
        ..LogsRequest::default()
    };
    let cannot = |why: tonic::Status| failure("cannot read the logs", &why);
    let mut up = connect(&args.state).await?;
    let mut chunks = up.logs(request.clone()).await.map_err(cannot)?.into_inner();
    let mut speaker = None;
    let mut begun = Begun::default();
    let mut tries = TRIES;
    loop {
        let chunk = match chunks.message().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // Whoever comes next goes on where this one was cut off.
            Err(why) if is_lost(&why) && tries > 0 => {
                tries -= 1;
                chunks = up.logs(request.clone()).await.map_err(cannot)?.into_inner();
                continue;
            }
            Err(why) => return Err(cannot(why)),
        };
        tries = TRIES;
        request.instance_id = chunk.instance_id;
        request.read_to.insert(chunk.log, chunk.read_to);
        if speaker.as_ref() != Some(&chunk.task) {
            print::note(&format!("==> {} <==", print::shown_in_line(&chunk.task)));
            speaker = Some(chunk.task);
        }
        let task = speaker.clone().unwrap_or_default();
        let whole = begun.complete(&task, chunk.data);
        if print::while_read(|out| out.write_all(&whole))? == Reader::Gone {
            return Ok(());
        }
    }
    for rest in begun.0.values() {
        print::while_read(|out| out.write_all(rest))?;
    }
    if speaker.is_none() {
        let request = DescribeRequest {
            workspace_id: args.id,
        };
        let answer = up.describe(request).await.map_err(cannot)?;
        say_how_silent_ones_are(&answer.into_inner(), args.task.as_deref());
    }
    Ok(())
}

/// Tasks that print nothing may have failed all the same.
fn say_how_silent_ones_are(told: &DescribeResponse, task: Option<&str>) {
    let asked_for = |name: &str| task.is_none_or(|task| is_called(name, task));
    let tasks = told.tasks.iter().filter(|it| asked_for(&it.name));
    let tasks: Vec<_> = tasks.collect();
    if tasks.is_empty() {
        print::note("nothing was printed in the last run");
    }
    for task in tasks {
        let line = format!("{}: {}, and printed nothing", task.name, state(task));
        print::note(&print::shown_in_line(&line));
    }
}

/// Whether `task` names the one called `name`, by itself or as its log is named after it.
fn is_called(name: &str, task: &str) -> bool {
    let plain = |text: &str| {
        let text = text.to_lowercase();
        text.replace(|letter: char| !letter.is_alphanumeric(), "-")
    };
    let (name, task) = (plain(name), plain(task));
    let behind_number = task.trim_start_matches(|letter: char| letter.is_ascii_digit());
    name == task || behind_number.strip_prefix('-') == Some(&name)
}

/// Letters and ends of lines that the pieces of a log cut, by task: halves of them are told
/// neither from each other nor from what a terminal must not get.
#[derive(Default)]
struct Begun(BTreeMap<String, Vec<u8>>);

impl Begun {
    /// What can be shown of a task now that `data` has come.
    fn complete(&mut self, task: &str, data: Vec<u8>) -> Vec<u8> {
        let mut bytes = self.0.remove(task).unwrap_or_default();
        bytes.extend(data);
        let begun = bytes.split_off(bytes.len() - unfinished(&bytes));
        self.0.insert(task.to_owned(), begun);
        bytes
    }
}

/// How many bytes at the end need what comes next.
fn unfinished(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last();
    let begun = last.map_or(&[][..], |part| part.invalid());
    match std::str::from_utf8(begun) {
        Err(why) if why.error_len().is_none() => begun.len(),
        _ => usize::from(bytes.ends_with(b"\r")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_is_known_by_the_names_of_its_log() {
        for task in ["Web Server", "web-server", "1-web-server"] {
            assert!(is_called("Web Server", task), "{task}");
        }
        for task in ["web", "server", "other-web-server", "1web-server"] {
            assert!(!is_called("Web Server", task), "{task}");
        }
    }

    #[test]
    fn log_cut_anywhere_is_shown_as_if_it_were_not() {
        let log = "aé\r\n日\u{9b}31m\rb\r\n".as_bytes();
        let whole = print::shown(&String::from_utf8_lossy(log));
        for at in 0..=log.len() {
            let mut begun = Begun::default();
            let (one, two) = log.split_at(at);
            let shown: String = [one, two]
                .map(|piece| begun.complete("web", piece.to_vec()))
                .map(|piece| print::shown(&String::from_utf8_lossy(&piece)))
                .concat();
            assert_eq!(shown, whole, "{at}");
        }
    }
}
