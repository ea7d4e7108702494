//! What the child process writes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::time::timeout;

/// Lines of stdout and stderr in the order of their arrival.
pub(super) struct Output {
    lines: Mutex<Vec<String>>,
    pub(super) count: watch::Sender<usize>,
    open_streams: watch::Sender<usize>,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            lines: Mutex::default(),
            count: watch::Sender::new(0),
            open_streams: watch::Sender::new(0),
        }
    }
}

impl Output {
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines
            .lock()
            .expect("no holder of the lock panics")
            .clone()
    }

    pub(super) fn read(self: Arc<Self>, stream: impl AsyncRead + Unpin + Send + 'static) {
        self.open_streams.send_modify(|open| *open += 1);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                self.lines
                    .lock()
                    .expect("no holder of the lock panics")
                    .push(line);
                self.count.send_modify(|count| *count += 1);
            }
            self.open_streams.send_modify(|open| *open -= 1);
        });
    }

    /// Waits until both streams have ended; a grandchild that keeps one open is not waited for.
    pub(super) async fn closed(&self) {
        let mut open = self.open_streams.subscribe();
        let _ = timeout(Duration::from_secs(2), open.wait_for(|&open| open == 0)).await;
    }
}
