//! Redis servers as child processes, alone, as a cluster and under sentinels. They end with their values.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::gateway::free_port;

const START: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A server; killed with this value.
pub(super) struct Server {
    port: u16,
    arguments: Vec<String>,
    child: Child,
    folder: TempDir,
}

impl Server {
    /// One that keeps what it has on disk at each write: killed, it forgets nothing.
    pub(super) async fn start() -> Self {
        Self::start_with(free_port(), &["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    pub(super) async fn start_with(port: u16, arguments: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("samlgate-redis-").tempdir().expect("a temporary folder");
        let own = ["--bind", "127.0.0.1", "--save", "", "--enable-debug-command", "local"];
        let mut all: Vec<String> = own.iter().chain(arguments).map(|&argument| argument.to_owned()).collect();
        if !arguments.contains(&"--port") {
            all.extend(["--port".to_owned(), port.to_string()]);
        }
        let child = spawn(&all, folder.path());
        let mut server = Self { port, arguments: all, child, folder };
        server.listens().await;
        server
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// As `kill -9`.
    pub(super) async fn kill(&mut self) {
        self.child.kill().await.expect("an own child can be killed");
    }

    /// The same server again, over what it had on disk.
    pub(super) async fn restart(&mut self) {
        self.child = spawn(&self.arguments, self.folder.path());
        self.listens().await;
    }

    /// It keeps its connections and answers nothing.
    pub(super) fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub(super) fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).expect("it runs");
        kill(Pid::from_raw(id), signal).expect("an own child can be signalled");
    }

    /// What it has written to its append-only files.
    pub(super) fn written(&self) -> Vec<u8> {
        let folder = self.folder.path().join("appendonlydir");
        let files = std::fs::read_dir(&folder).expect("it writes a file").filter_map(Result::ok);
        files.flat_map(|file| std::fs::read(file.path()).expect("the file can be read")).collect()
    }

    async fn listens(&mut self) {
        let deadline = Instant::now() + START;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while tokio::net::TcpStream::connect(address).await.is_err() {
            let ended = self.child.try_wait().expect("an own child can be asked");
            assert!(ended.is_none() && Instant::now() < deadline, "redis-server {:?}: {ended:?}", self.arguments);
            sleep(POLL).await;
        }
    }

    /// What redis-cli prints for a command of this server.
    pub(super) async fn cli(&self, arguments: &[&str]) -> String {
        cli(self.port, arguments).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A stopped process dies of nothing else.
        let _ = self.child.start_kill();
    }
}

fn spawn(arguments: &[String], folder: &Path) -> Child {
    Command::new("redis-server")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("redis-server can be started")
}

async fn cli(port: u16, arguments: &[&str]) -> String {
    let output = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output().await;
    let output = output.expect("redis-cli can be started");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Three masters that share the slots.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Server>,
}

impl Cluster {
    pub(super) async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let bus = free_port().to_string();
            let arguments = [
                "--cluster-enabled",
                "yes",
                "--cluster-config-file",
                "nodes.conf",
                "--cluster-node-timeout",
                "1000",
                "--cluster-port",
                &bus,
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
            ];
            nodes.push(Server::start_with(free_port(), &arguments).await);
        }
        let addresses: Vec<String> = nodes.iter().map(Server::address).collect();
        let mut create = vec!["--cluster", "create"];
        create.extend(addresses.iter().map(String::as_str));
        create.push("--cluster-yes");
        let said = nodes[0].cli(&create).await;
        assert!(said.contains("All 16384 slots covered"), "{said}");
        let cluster = Self { nodes };
        cluster.is_up().await;
        cluster
    }

    pub(super) async fn is_up(&self) {
        for node in &self.nodes {
            while !node.cli(&["cluster", "info"]).await.contains("cluster_state:ok") {
                sleep(POLL).await;
            }
        }
    }

    pub(super) fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Server::address).collect()
    }
}

/// A master, two replicas of it, and three sentinels that watch them.
pub(super) struct Sentinels {
    pub(super) servers: Vec<Server>,
    sentinels: Vec<Server>,
}

impl Sentinels {
    pub(super) const MASTER: &str = "mymaster";

    pub(super) async fn start() -> Self {
        let master = Server::start().await;
        let port = master.port().to_string();
        let mut servers = vec![master];
        for _ in 0..2 {
            servers.push(Server::start_with(free_port(), &["--replicaof", "127.0.0.1", &port]).await);
        }
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(sentinel(&port).await);
        }
        let started = Self { servers, sentinels };
        for sentinel in &started.sentinels {
            while !started.knows_all(sentinel).await {
                sleep(POLL).await;
            }
        }
        started
    }

    async fn knows_all(&self, sentinel: &Server) -> bool {
        let said = sentinel.cli(&["sentinel", "master", Self::MASTER]).await;
        let value = |name: &str| said.lines().skip_while(|line| *line != name).nth(1).map(str::to_owned);
        value("num-slaves").as_deref() == Some("2") && value("num-other-sentinels").as_deref() == Some("2")
    }

    pub(super) fn addresses(&self) -> Vec<String> {
        self.sentinels.iter().map(Server::address).collect()
    }
}

async fn sentinel(master_port: &str) -> Server {
    let folder = tempfile::Builder::new().prefix("samlgate-sentinel-").tempdir().expect("a temporary folder");
    let port = free_port();
    let name = Sentinels::MASTER;
    let file = folder.path().join("sentinel.conf");
    let text = format!(
        "port {port}\nbind 127.0.0.1\nsentinel monitor {name} 127.0.0.1 {master_port} 2\n\
         sentinel down-after-milliseconds {name} 1000\nsentinel failover-timeout {name} 3000\n"
    );
    std::fs::write(&file, text).expect("its settings can be written");
    let arguments = vec!["sentinel.conf".to_owned(), "--sentinel".to_owned()];
    let child = spawn(&arguments, folder.path());
    let mut server = Server { port, arguments, child, folder };
    server.listens().await;
    server
}
