//! The demo: a pretend JumpCloud, an application and samlgate between them, with keys made on the spot.
//!
//! samlgate runs as a child process of the same executable, `demo samlgate run`, so that what is shown is the
//! program as it is deployed.

mod tell;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::gateway::{Gateway, GatewayBuilder, IDP_ENTITY_ID, LogFollower, Program, free_port};
use crate::idp::{Idp, IdpOptions, IdpSettings};
use crate::issuer::{KeyKind, Sign, SigningKey};
use crate::upstream::{Application, Upstream};
use tell::{Colour, Teller};

const USUAL_PORT: u16 = 8080;

/// Shows samlgate in front of an application, with a pretend JumpCloud to sign in at.
#[derive(Parser)]
#[command(name = "demo", after_help = "`demo samlgate ...` runs samlgate itself, with its own arguments.")]
struct Arguments {
    /// Port of the gateway on localhost [default: 8080, or a free one if that is taken]
    #[arg(long)]
    port: Option<u16>,

    /// Write samlgate's log to the standard error output
    #[arg(long)]
    log: bool,

    /// No colours; so does the environment variable NO_COLOR
    #[arg(long)]
    no_color: bool,
}

/// Runs the demo, or samlgate where the first argument is `samlgate`.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    if arguments.get(1).is_some_and(|first| first == "samlgate") {
        return gateway::cli::run(arguments.into_iter().skip(1));
    }
    let arguments = Arguments::parse_from(arguments);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no threads for the demo: {error}")),
    };
    runtime.block_on(async {
        match run(&arguments).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => failed(&reason),
        }
    })
}

fn failed(reason: &str) -> ExitCode {
    eprintln!("demo: {reason}");
    ExitCode::FAILURE
}

async fn run(arguments: &Arguments) -> Result<(), String> {
    let teller = Teller::new(colour(arguments));
    // Before anything starts, so that a signal at any time after ends everything in order.
    let mut stop = StopSignals::listen()?;
    let port = choose_port(arguments.port)?;
    teller.making_keys();
    let mut demo = tokio::select! {
        demo = Demo::start(port) => demo?,
        () = stop.next() => return Ok(()),
    };
    teller.welcome(&demo);
    if arguments.log {
        tokio::spawn(write_log(demo.gateway.follow_log()));
    }
    let status = tokio::select! {
        status = demo.gateway.wait() => Some(status),
        () = stop.next() => None,
    };
    match status {
        Some(status) => Err(format!("samlgate ended ({status}); its log:\n{}", demo.gateway.log().join("\n"))),
        None => {
            teller.stopping();
            demo.gateway.stop().await;
            Ok(())
        }
    }
}

/// Everything that runs; it ends with this value.
struct Demo {
    gateway: Gateway,
    idp: Idp,
    _application: Upstream,
}

impl Demo {
    async fn start(port: u16) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("cannot find its own executable: {error}"))?;
        let key = tokio::task::spawn_blocking(|| SigningKey::generate(KeyKind::Rsa4096, "samlgate demo"));
        let key = key.await.map_err(|error| format!("cannot make a key: {error}"))?;
        let builder = GatewayBuilder::on_port(Program::demo(program).in_own_process_group(), port);

        let mut settings = IdpSettings::new(IDP_ENTITY_ID, &builder.sp_entity_id(), &builder.acs_url());
        // JumpCloud signs the assertion alone by default; the administrator has to choose both, as here.
        settings.sign = Sign::Both;
        let idp = Idp::start(IdpOptions { key: Arc::new(key), ..IdpOptions::new(settings) }).await;
        let application =
            Upstream::start_application(Application { gateway_origin: builder.public_url(), links: links() }).await;
        let gateway = builder
            .trust(&idp)
            .protect(&application)
            .set("login_page", json!(true))
            .set("shutdown_timeout", json!("2s"))
            .try_start()
            .await
            .map_err(|failure| failure.to_string())?;
        Ok(Self { gateway, idp, _application: application })
    }
}

fn links() -> Vec<(String, String)> {
    let links = [
        ("Home", "/"),
        ("Deep link", "/reports/2026?page=2"),
        ("Admins only", "/admin"),
        ("Public", "/public"),
        ("Who am I", "/saml/userinfo"),
        ("Sign out", "/saml/logout"),
    ];
    links.map(|(text, address)| (text.to_owned(), address.to_owned())).to_vec()
}

fn colour(arguments: &Arguments) -> Colour {
    let unwanted = arguments.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match !unwanted && std::io::stdout().is_terminal() {
        true => Colour::Ansi,
        false => Colour::None,
    }
}

/// The port asked for must be free; without one, the usual port or any other.
fn choose_port(asked: Option<u16>) -> Result<u16, String> {
    match asked {
        Some(port) if is_free(port) => Ok(port),
        Some(port) => Err(format!("port {port} is taken: name another with --port, or none")),
        None if is_free(USUAL_PORT) => Ok(USUAL_PORT),
        None => Ok(free_port()),
    }
}

/// Browsers try `::1` first for localhost: somebody else there would answer in the gateway's place.
fn is_free(port: u16) -> bool {
    let taken_on_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port))
        .is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
    !taken_on_ipv6 && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

async fn write_log(mut log: LogFollower) {
    loop {
        let line = log.next().await;
        eprintln!("{line}");
    }
}

/// Ctrl-C, SIGTERM, and the terminal that goes away.
struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

impl StopSignals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
