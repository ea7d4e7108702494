//! One task for each IdP whose metadata is fetched.

use std::sync::Arc;

use config::Trust;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::{Idp, IdpRegistry, refresh};
use crate::metrics::Metrics;

pub struct Refreshers {
    runtime: Handle,
    tasks: Vec<Refresher>,
}

struct Refresher {
    idp: Arc<Idp>,
    task: JoinHandle<()>,
}

impl Drop for Refresher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Refreshers {
    pub fn new(runtime: Handle) -> Self {
        Self { runtime, tasks: Vec::new() }
    }

    /// Those of IdPs that are there no more end, those of new ones begin, and others remember what they saw.
    pub fn serve(&mut self, idps: &IdpRegistry, metrics: &Arc<Metrics>) {
        self.tasks.retain(|refresher| idps.iter().any(|idp| Arc::ptr_eq(idp, &refresher.idp)));
        for idp in idps.iter().filter(|idp| matches!(idp.settings.trust, Trust::Fetched(_))) {
            if self.tasks.iter().all(|refresher| !Arc::ptr_eq(idp, &refresher.idp)) {
                let task = self.runtime.spawn(refresh::keep_fresh(Arc::clone(idp), Arc::clone(metrics)));
                self.tasks.push(Refresher { idp: Arc::clone(idp), task });
            }
        }
    }
}
