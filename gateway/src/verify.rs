//! Work on responses, kept off the event loop: a storm of logins must not delay those who are signed in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::refusal::Refusal;

/// A small pool: as many responses at a time as there are worker threads, the others wait their turn.
pub struct Verifier {
    lanes: Arc<Semaphore>,
}

impl Verifier {
    pub fn new(threads: usize) -> Self {
        Self { lanes: Arc::new(Semaphore::new(threads.max(1))) }
    }

    /// Runs `work` on a thread where it may take its time, and says how long it took.
    ///
    /// # Errors
    /// The work panicked, or the process is about to end.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, Duration), Refusal> {
        let failed =
            |problem: &dyn std::fmt::Display| Refusal::Internal { problem: format!("verification: {problem}") };
        let lane = Arc::clone(&self.lanes).acquire_owned().await.map_err(|error| failed(&error))?;
        tokio::task::spawn_blocking(move || {
            let _lane = lane;
            let begin = Instant::now();
            (work(), begin.elapsed())
        })
        .await
        .map_err(|error| failed(&error))
    }
}
