//! What the tasks of a workspace print, as server-sent events.
//!
//! `output` with `{"task", "text"}` for each piece, from the beginning of the run;
//! `end` when nothing more will come.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt};
use gitpod_routing::Jitter;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::Page;
use super::change::id_of;
use super::form::Named;
use super::refusal::Refusal;
use crate::local::{LogsRequest, LogsResponse, workspaces_server::Workspaces as _};

/// How often it is looked whether the browser is still signed in.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const QUEUE: usize = 64;

pub(super) async fn logs(
    State(page): State<Page>,
    headers: HeaderMap,
    Named(id): Named<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Refusal> {
    let request = LogsRequest {
        workspace_id: id_of(&id)?.to_string(),
        follow: true,
        ..LogsRequest::default()
    };
    let cannot = |why: tonic::Status| {
        let status = match why.code() {
            Code::NotFound => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refusal::new(status, why.message(), "reload the page")
    };
    let answer = page.shared.workspaces.logs(tonic::Request::new(request));
    let mut chunks = answer.await.map_err(cannot)?.into_inner();
    let (sender, receiver) = mpsc::channel(QUEUE);
    let closing = page.shared.closing.clone();
    let session = page.session_of(&headers).unwrap_or_default();
    let tell = async move {
        let again = Event::default().retry(Jitter::RECONNECT.draw());
        if sender.send(Ok(again)).await.is_err() {
            return;
        }
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut texts = Texts::default();
        loop {
            let chunk = tokio::select! {
                _ = look.tick() => None,
                chunk = chunks.next() => Some(chunk),
            };
            if !page.shared.sessions.is_signed_in(&session) {
                return;
            }
            let chunk = match chunk {
                None => continue,
                Some(Some(Ok(chunk))) => chunk,
                Some(_) => break,
            };
            let data = json!({"text": texts.decode(&chunk), "task": chunk.task});
            let event = Event::default().event("output").data(data.to_string());
            if sender.send(Ok(event)).await.is_err() {
                return;
            }
        }
        let _ = sender
            .send(Ok(Event::default().event("end").data("{}")))
            .await;
    };
    tokio::spawn(async move { closing.run_until_cancelled(tell).await });
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// Turns chunks into text, although one may end in the middle of a letter.
#[derive(Default)]
struct Texts(HashMap<String, Vec<u8>>);

impl Texts {
    fn decode(&mut self, chunk: &LogsResponse) -> String {
        let bytes = self.0.entry(chunk.task.clone()).or_default();
        bytes.extend_from_slice(&chunk.data);
        let text = bytes.utf8_chunks().fold(String::new(), |mut text, part| {
            text.push_str(part.valid());
            if !part.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
            text
        });
        let begun = unfinished(bytes);
        let text = match begun {
            0 => text,
            _ => text
                .trim_end_matches(char::REPLACEMENT_CHARACTER)
                .to_owned(),
        };
        bytes.drain(..bytes.len() - begun);
        text
    }
}

/// How many bytes at the end are the beginning of a letter that is not complete.
fn unfinished(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last();
    let begun = last.map_or(&[][..], |part| part.invalid());
    let is_begun = std::str::from_utf8(begun).is_err_and(|why| why.error_len().is_none());
    if is_begun { begun.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cut_anywhere_is_the_same_text() {
        let text = "aé→日𝄞b";
        for at in 0..=text.len() {
            let mut texts = Texts::default();
            let (one, two) = text.as_bytes().split_at(at);
            let got: String = [one, two]
                .iter()
                .map(|data| {
                    texts.decode(&LogsResponse {
                        task: "web".to_owned(),
                        data: data.to_vec(),
                        ..LogsResponse::default()
                    })
                })
                .collect();
            assert_eq!(got, text, "{at}");
        }
    }
}
