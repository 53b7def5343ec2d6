//! What a subscriber gets.

use std::pin::Pin;

use futures_util::{Stream, stream};
use tonic::Status;

use super::generated::wsman::SubscribeResponse;
use crate::status::publish::MetadataFilter;
use crate::status::update::StatusUpdate;
use crate::subscribe::Subscription;

/// What a subscriber is answered.
pub(super) type Updates = Pin<Box<dyn Stream<Item = Result<SubscribeResponse, Status>> + Send>>;

/// What passes `filter`, until the client goes, is too slow, or the manager ends.
///
/// It does not keep the manager alive. One that is too slow is told so at once
/// (Q21): what it missed is lost, so that it must list again anyway.
pub(super) fn updates(subscription: Subscription<StatusUpdate>, filter: MetadataFilter) -> Updates {
    Box::pin(stream::unfold(Some((subscription, filter)), next_update))
}

type Listening = Option<(Subscription<StatusUpdate>, MetadataFilter)>;

async fn next_update(
    listening: Listening,
) -> Option<(Result<SubscribeResponse, Status>, Listening)> {
    let (mut subscription, filter) = listening?;
    loop {
        match subscription.next().await? {
            Ok(update) if filter.matches(&update.metadata) => {
                let response = SubscribeResponse {
                    status: Some(update.into()),
                    ..Default::default()
                };
                return Some((Ok(response), Some((subscription, filter))));
            }
            Ok(_) => {}
            Err(lagged) => {
                let text = format!("{lagged}; list the workspaces and subscribe again");
                return Some((Err(Status::resource_exhausted(text)), None));
            }
        }
    }
}
