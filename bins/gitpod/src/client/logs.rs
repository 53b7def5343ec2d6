//! `gitpod logs`.

use std::collections::BTreeMap;

use super::connect::{connect, failure};
use crate::cli::LogsArgs;
use crate::exit::Failure;
use crate::local::LogsRequest;
use crate::print::{self, Reader};

/// Prints what a workspace's tasks print.
///
/// With more than one task, a line tells which one speaks.
pub(crate) async fn logs(args: LogsArgs) -> Result<(), Failure> {
    let request = LogsRequest {
        workspace_id: args.id,
        follow: args.follow,
        task: args.task.unwrap_or_default(),
    };
    let cannot = |why: tonic::Status| failure("cannot read the logs", &why);
    let mut chunks = connect(&args.state)
        .await?
        .logs(request)
        .await
        .map_err(cannot)?
        .into_inner();
    let mut speaker = None;
    let mut begun = Begun::default();
    while let Some(chunk) = chunks.message().await.map_err(cannot)? {
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
        print::note(
            "nothing was printed; `gitpod describe` tells the tasks of the last run, and how they ended",
        );
    }
    Ok(())
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
