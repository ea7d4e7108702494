//! Work on responses, kept off the event loop: a storm of logins must not delay those who are signed in.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::refusal::Refusal;

/// Where both want the same core, a request of somebody who is signed in goes first; logins still get a tenth of it.
#[cfg(target_os = "linux")]
const NICER: i32 = 10;

type Work = Box<dyn FnOnce() + Send>;

/// Threads of its own, as many as serve requests; what they have no time for waits its turn.
pub struct Verifier {
    queue: Sender<Work>,
}

impl Verifier {
    /// # Errors
    /// A thread cannot be started.
    pub fn new(threads: usize) -> io::Result<Self> {
        let (queue, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..threads.max(1) {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new().name("verify".to_owned()).spawn(move || serve(&waiting))?;
        }
        Ok(Self { queue })
    }

    /// Runs `work` on a thread where it may take its time, and says how long it took.
    ///
    /// # Errors
    /// The work panicked, or the process is about to end.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<(T, Duration), Refusal> {
        let failed = |problem: &str| Refusal::Internal { problem: format!("verification: {problem}") };
        let (done, result) = oneshot::channel();
        let work = move || {
            let begin = Instant::now();
            // The panic is in the log; who waits learns of it as `done` is dropped. Nothing that it left half done is used.
            if let Ok(result) = catch_unwind(AssertUnwindSafe(work)) {
                let _ = done.send((result, begin.elapsed()));
            }
        };
        self.queue.send(Box::new(work)).map_err(|_| failed("no thread serves"))?;
        result.await.map_err(|_| failed("it panicked"))
    }
}

/// Until the verifier is gone.
fn serve(waiting: &Mutex<Receiver<Work>>) {
    give_way();
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        work();
    }
}

/// Of this thread: on Linux niceness is a thread's. Without it all goes on as fairly as before.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        let _ = getpriority_process(None).and_then(|niceness| setpriority_process(None, niceness + NICER));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_next_goes_on() {
        let verifier = Verifier::new(1).unwrap();
        let failed = verifier.run(|| assert_eq!(1, 2)).await;
        assert!(matches!(failed, Err(Refusal::Internal { .. })));
        assert_eq!(verifier.run(|| 2).await.unwrap().0, 2);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn it_gives_way_to_requests() {
        let own = rustix::process::getpriority_process(None).unwrap();
        let verifier = Verifier::new(1).unwrap();
        let (its, _) = verifier.run(|| rustix::process::getpriority_process(None).unwrap()).await.unwrap();
        assert_eq!(its, (own + NICER).min(19));
    }
}
