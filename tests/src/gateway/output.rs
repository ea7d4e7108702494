//! What the child process writes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::time::timeout;

/// Lines of stdout and stderr in the order of their arrival.
pub(super) struct Output {
    lines: Mutex<Vec<String>>,
    count: watch::Sender<usize>,
    open_streams: watch::Sender<usize>,
}

impl Default for Output {
    fn default() -> Self {
        Self { lines: Mutex::default(), count: watch::Sender::new(0), open_streams: watch::Sender::new(0) }
    }
}

impl Output {
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no holder of the lock panics").clone()
    }

    pub(super) fn read(self: Arc<Self>, stream: impl AsyncRead + Unpin + Send + 'static) {
        self.open_streams.send_modify(|open| *open += 1);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                self.lines.lock().expect("no holder of the lock panics").push(line);
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

/// Reads a log line by line, from its beginning.
pub struct LogFollower {
    output: Arc<Output>,
    count: watch::Receiver<usize>,
    read: usize,
}

impl LogFollower {
    pub(super) fn new(output: Arc<Output>) -> Self {
        Self { count: output.count.subscribe(), output, read: 0 }
    }

    /// The next line, which may be long in coming.
    pub async fn next(&mut self) -> String {
        let read = self.read;
        self.count.wait_for(|&count| count > read).await.expect("the follower keeps the output alive");
        self.read += 1;
        self.output.lines.lock().expect("no holder of the lock panics")[read].clone()
    }
}
