//! Whether we take requests, and what is under way: what a clean shutdown waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

#[derive(Default)]
pub struct Lifecycle {
    draining: AtomicBool,
    requests: Count,
    /// That a request comes over, or may come.
    connections: Count,
}

/// A request under way. It counts until it is dropped, by a panic too.
pub struct InFlight(Arc<Lifecycle>);

/// A connection that is open, of HTTP/2 a stream. It counts until it is dropped.
pub struct Open(Arc<Lifecycle>);

#[derive(Default)]
struct Count {
    number: AtomicUsize,
    is_zero: Notify,
}

impl Count {
    fn add(&self) {
        self.number.fetch_add(1, Ordering::AcqRel);
    }

    fn subtract(&self) {
        if self.number.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.is_zero.notify_waiters();
        }
    }

    async fn until_zero(&self) {
        loop {
            let ended = self.is_zero.notified();
            if self.number.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Lifecycle {
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.requests.add();
        InFlight(Arc::clone(self))
    }

    pub fn open(self: &Arc<Self>) -> Open {
        self.connections.add();
        Open(Arc::clone(self))
    }

    pub fn in_flight(&self) -> usize {
        self.requests.number.load(Ordering::Acquire)
    }

    /// From now on `/readyz` says 503.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Returns when no request is under way.
    pub async fn until_idle(&self) {
        self.requests.until_zero().await;
    }

    /// Returns when no connection is open.
    pub async fn until_closed(&self) {
        self.connections.until_zero().await;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.requests.subtract();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.subtract();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_the_last_request() {
        let lifecycle = Arc::new(Lifecycle::default());
        let (first, second) = (lifecycle.begin(), lifecycle.begin());
        let waiting = tokio::spawn({
            let lifecycle = Arc::clone(&lifecycle);
            async move { lifecycle.until_idle().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
    }
}
