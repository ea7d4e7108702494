//! nginx, Caddy, HAProxy and others as child processes, with the samples of `docs/fronts` for settings. They end with their values.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::Kind;
use crate::gateway::{Gateway, free_port};
use crate::replicas::until;

const START: Duration = Duration::from_secs(30);

/// What stands in front, on a port that is known before it starts.
pub(super) struct Front {
    address: SocketAddr,
    _children: Vec<Child>,
    _folder: TempDir,
}

/// Where the samples' addresses lead here.
pub(super) struct Addresses {
    /// Of the front itself.
    pub(super) listen: u16,
    pub(super) samlgate: SocketAddr,
    pub(super) application: SocketAddr,
}

impl Front {
    pub(super) async fn start(kind: Kind, addresses: &Addresses) -> Self {
        let folder = tempfile::Builder::new().prefix("samlgate-front-").tempdir().expect("a temporary folder");
        let children = match kind {
            Kind::Nginx => vec![nginx(folder.path(), addresses.listen, addresses, "").await],
            Kind::BehindHaproxy => {
                let behind = free_port();
                let real_ip = "set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For;";
                let nginx = nginx(folder.path(), behind, addresses, real_ip).await;
                vec![nginx, haproxy(folder.path(), addresses.listen, behind).await]
            }
            Kind::Caddy => vec![caddy(folder.path(), addresses).await],
        };
        Self { address: loopback(addresses.listen), _children: children, _folder: folder }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The sample, with addresses that are free here; each of them must have been in it.
fn sample(name: &str, changes: &[(&str, String)]) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/fronts").join(name);
    let text = std::fs::read_to_string(&file).expect("the sample can be read");
    changes.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{name} has no {from}");
        text.replace(from, to)
    })
}

async fn nginx(folder: &Path, port: u16, addresses: &Addresses, more: &str) -> Child {
    let changes = [
        ("listen 127.0.0.1:8000", format!("listen 127.0.0.1:{port}")),
        ("server_name app.example.com;", "server_name localhost;".to_owned()),
        ("app.example.com", format!("localhost:{}", addresses.listen)),
        ("server 127.0.0.1:8080;", format!("server {};", addresses.samlgate)),
        ("http://127.0.0.1:3000", format!("http://{}", addresses.application)),
    ];
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {};", folder.join(name).display()))
        .concat();
    let settings = format!(
        "daemon off; worker_processes 1; pid {}; error_log stderr;\nevents {{ worker_connections 256; }}\n\
         http {{ access_log off; {temporary} {more}\n{}\n}}\n",
        folder.join("nginx.pid").display(),
        sample("nginx.conf", &changes),
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, settings).expect("the settings can be written");
    let mut command = Command::new("nginx");
    command.arg("-e").arg("stderr").arg("-p").arg(folder).arg("-c").arg(&file);
    started(command, port).await
}

async fn caddy(folder: &Path, addresses: &Addresses) -> Child {
    let changes = [
        ("app.example.com {", format!("http://localhost:{} {{", addresses.listen)),
        ("127.0.0.1:8080", addresses.samlgate.to_string()),
        ("127.0.0.1:3000", addresses.application.to_string()),
    ];
    let settings = format!("{{\n\tadmin off\n\tauto_https off\n}}\n{}", sample("Caddyfile", &changes));
    let file = folder.join("Caddyfile");
    std::fs::write(&file, settings).expect("the settings can be written");
    let mut command = Command::new("caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&file);
    command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    started(command, addresses.listen).await
}

async fn haproxy(folder: &Path, port: u16, behind: u16) -> Child {
    let settings = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
         frontend public\n bind 127.0.0.1:{port}\n http-request del-header X-Forwarded-For\n option forwardfor\n\
         default_backend nginx\nbackend nginx\n server nginx 127.0.0.1:{behind}\n"
    );
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, settings).expect("the settings can be written");
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(&file);
    started(command, port).await
}

/// HAProxy with the sample for two replicas.
pub(super) async fn balancer(folder: &Path, port: u16, replicas: &[Gateway; 2]) -> Child {
    let [one, two] = replicas;
    let changes = [
        ("bind 127.0.0.1:8000", format!("bind 127.0.0.1:{port}")),
        ("127.0.0.1:8081 port 9091", format!("{} port {}", one.address(), one.admin_address().port())),
        ("127.0.0.1:8082 port 9092", format!("{} port {}", two.address(), two.admin_address().port())),
    ];
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, sample("haproxy.cfg", &changes)).expect("the settings can be written");
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(&file);
    started(command, port).await
}

pub(super) async fn started(mut command: Command, port: u16) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let child = command.spawn().expect("it can be started: tests/fronts/run installs it");
    until(START, "the proxy listens", async || TcpStream::connect(loopback(port)).await.is_ok()).await;
    child
}
