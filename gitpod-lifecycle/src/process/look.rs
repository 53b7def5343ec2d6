//! Looking at the sockets of the system for many at once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, oneshot};
use tokio::task::spawn_blocking;

use super::listeners::{Socket, tcp_sockets};
use super::owner::Owners;
use super::tree::ProcessId;
use crate::memory::lock;

/// Answers questions about sockets, with few looks at the system at a time.
///
/// A look costs a read of all sockets, and of all descriptors of a workspace. All that
/// wait when one begins share it: so no answer is older than its question, and a
/// thousand connections at once cost a few looks.
#[derive(Debug)]
pub(crate) struct Looks {
    owners: Owners,
    waiting: Mutex<Questions>,
    turns: Arc<Semaphore>,
}

type Question = Box<dyn FnOnce(&Look<'_>) + Send>;

#[derive(Default)]
struct Questions(Vec<Question>);

impl std::fmt::Debug for Questions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} questions", self.0.len())
    }
}

/// How many looks go on at a time: the second one is for whoever came too late for
/// the first.
const AT_A_TIME: usize = 2;

impl Default for Looks {
    fn default() -> Self {
        Self {
            owners: Owners::default(),
            waiting: Mutex::default(),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }
}

impl Looks {
    /// What `question` says of a look that begins after this call; `None` if it was
    /// not answered because a look failed.
    ///
    /// When the future is dropped, the question is not asked any more.
    pub(crate) async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Look<'_>) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, mut heard) = oneshot::channel();
        let question = move |look: &Look<'_>| {
            if !answer.is_closed() {
                let _ = answer.send(question(look));
            }
        };
        lock(&self.waiting).0.push(Box::new(question));
        let turn = tokio::select! {
            biased;
            answered = &mut heard => return answered.ok(),
            turn = Arc::clone(&self.turns).acquire_owned() => turn.ok()?,
        };
        let this = Arc::clone(self);
        // It has the turn until it is through, whoever still waits for it.
        spawn_blocking(move || {
            this.look();
            drop(turn);
        });
        heard.await.ok()
    }

    /// Answers all that wait now.
    fn look(&self) {
        let questions = std::mem::take(&mut lock(&self.waiting).0);
        if questions.is_empty() {
            return; // another look has answered them
        }
        let look = Look {
            sockets: tcp_sockets(),
            owners: &self.owners,
            searched: RefCell::default(),
        };
        questions.into_iter().for_each(|question| question(&look));
    }
}

/// One look at the sockets of the system.
#[derive(Debug)]
pub(crate) struct Look<'a> {
    pub(crate) sockets: Vec<Socket>,
    owners: &'a Owners,
    /// Whose sockets were all found in this look.
    searched: RefCell<HashSet<ProcessId>>,
}

impl Look<'_> {
    /// Whether each of `inodes` is held by `root` or by what that has started.
    pub(crate) fn all_within(&self, inodes: &[u64], root: ProcessId) -> bool {
        if self.owners.knows_all_within(inodes, root) {
            return true;
        }
        // Whose is not found by one search after the sockets were read is not found by more.
        let is_first = self.searched.borrow_mut().insert(root);
        is_first && self.owners.all_within(inodes, root)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_thousand_questions_at_once_share_a_few_looks() {
        let looks = Arc::new(Looks::default());
        let turns = Arc::clone(&looks.turns);
        let busy = turns.acquire_many(2).await.unwrap();
        let seen = Arc::new(Mutex::new(HashSet::new()));
        let asked: Vec<_> = (0..1000)
            .map(|_| {
                let (looks, seen) = (Arc::clone(&looks), Arc::clone(&seen));
                tokio::spawn(async move {
                    let note = move |look: &Look<'_>| {
                        lock(&seen).insert(look.sockets.as_ptr() as usize);
                    };
                    looks.ask(note).await.unwrap();
                })
            })
            .collect();
        while lock(&looks.waiting).0.len() < 1000 {
            tokio::task::yield_now().await;
        }
        drop(busy);
        for asked in asked {
            asked.await.unwrap();
        }
        assert_eq!(lock(&seen).len(), 1);
    }

    #[tokio::test]
    async fn answer_is_never_older_than_its_question() {
        let looks = Arc::new(Looks::default());
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let (began, begun) = oneshot::channel();
        let first = tokio::spawn({
            let looks = Arc::clone(&looks);
            let slow = move |_: &Look<'_>| {
                began.send(()).unwrap();
                wait.recv().unwrap();
            };
            async move { looks.ask(slow).await }
        });
        begun.await.unwrap(); // its sockets have been read
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sees = move |look: &Look<'_>| look.sockets.iter().any(|it| it.could_answer(address));
        let later = tokio::spawn({
            let looks = Arc::clone(&looks);
            async move { looks.ask(sees).await }
        });
        assert_eq!(later.await.unwrap(), Some(true));
        go_on.send(()).unwrap();
        first.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn question_that_was_given_up_is_not_asked() {
        let looks = Arc::new(Looks::default());
        let turns = Arc::clone(&looks.turns);
        let busy = turns.acquire_many(2).await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let given_up = looks.ask(move |_: &Look<'_>| count.fetch_add(1, Ordering::Relaxed));
        let mut given_up = Box::pin(given_up);
        tokio::select! {
            biased;
            _ = &mut given_up => panic!("nobody could look"),
            () = std::future::ready(()) => {}
        }
        drop(given_up);
        drop(busy);
        assert_eq!(looks.ask(|_: &Look<'_>| ()).await, Some(()));
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }
}
