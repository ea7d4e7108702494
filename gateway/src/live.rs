//! The gateway as the settings make it now: one snapshot, which a reload replaces whole.
//!
//! A request takes the snapshot that it finds and keeps it to its end. What lasts over reloads (sessions, counters, what
//! is under way) lies behind pointers that every snapshot shares.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::shared::Gateway;

pub struct Live {
    current: ArcSwap<Gateway>,
    replaced: watch::Sender<()>,
}

impl Live {
    pub fn new(gateway: Gateway) -> Self {
        Self { current: ArcSwap::from_pointee(gateway), replaced: watch::Sender::default() }
    }

    pub fn current(&self) -> Arc<Gateway> {
        self.current.load_full()
    }

    /// From now on requests find this one; who waits for [`Live::replacements`] is told.
    pub fn replace(&self, gateway: Gateway) {
        self.current.store(Arc::new(gateway));
        self.replaced.send_replace(());
    }

    pub fn replacements(&self) -> watch::Receiver<()> {
        self.replaced.subscribe()
    }
}
