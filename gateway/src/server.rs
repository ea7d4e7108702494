//! Listeners and the life of the process: bind, serve, drain, end.
//!
//! Pingora's own `Server` waits out a fixed period after SIGTERM and takes the admin listener down with
//! the public one. Here its services run on our runtimes: `/readyz` answers while we drain, and the
//! process ends as soon as the last request has.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::{Settings, Trust};
use pingora::apps::ServerApp;
use pingora::proxy::http_proxy;
use pingora::server::configuration::ServerConf;
use pingora::server::{Fds, ListenFds, ShutdownWatch};
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::admin::Admin;
use crate::audit::Event;
use crate::control::{self, Control};
use crate::idps::{self, Refreshers};
use crate::live::Live;
use crate::proxy::Proxy;
use crate::proxy_protocol::{Behind, ProxyProtocol};
use crate::reload::{Reloader, Source};
use crate::shared::{Gateway, SetupError};
use crate::streams::{self, UntilSessionEnds};
use crate::tls::{LiveCertificate, TlsError};
use crate::unix_socket::{Instead, PrivateSocket, SocketError, SocketFile};
use crate::upgrade::{self, Listeners, Predecessor, UpgradeError};
use crate::{telemetry, upstream};

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("cannot listen on {address} (`{setting}`): {source}; choose another address or stop who listens there")]
    Listen { setting: &'static str, address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(transparent)]
    Upgrade(#[from] UpgradeError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("the runtime cannot start: {0}")]
    Runtime(#[source] io::Error),
}

/// Where the listeners come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Afresh,
    /// From the process that runs, which then ends.
    Upgrade,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Drained,
    /// SIGINT, or a second SIGTERM.
    AtOnce,
}

/// Serves until a signal ends it.
pub fn run(settings: Settings, source: Source, start: Start) -> ExitCode {
    let _log = telemetry::init(&settings.log);
    match serve(settings, source, start) {
        Ok(Ended::Drained) => ExitCode::SUCCESS,
        Ok(Ended::AtOnce) => ExitCode::from(130),
        Err(error) => {
            tracing::error!("samlgate cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(settings: Settings, source: Source, start: Start) -> Result<Ended, ServerError> {
    let (listeners, predecessor) = listeners(&settings, start)?;
    let live = Arc::new(Live::new(Gateway::new(settings)?));
    let gateway = live.current();
    let settings = Arc::clone(&gateway.settings);

    let conf = Arc::new(ServerConf { threads: settings.threads, ..ServerConf::default() });
    let proxy = http_proxy(&conf, Proxy(Arc::clone(&live)));
    let header = settings.proxy_protocol.then(|| Arc::new(ProxyProtocol::new(Arc::clone(&live))));
    let behind_tls = header.clone().filter(|_| settings.tls.is_some());
    let in_plain = header.filter(|_| settings.tls.is_none());
    let public = Behind::new(UntilSessionEnds::new(proxy, Arc::clone(&live)), in_plain);
    let mut public = Service::new("public".to_owned(), public);
    let certificate = add_listener(&mut public, &settings)?;
    if let Some(header) = behind_tls {
        public.endpoints().set_pre_tls_callback(header);
    }
    let mut admin = Service::new("admin".to_owned(), Admin(Arc::clone(&live)));
    admin.add_tcp(&settings.admin_listen.to_string());

    let runtime = runtime("public", settings.threads)?;
    let admin_runtime = self::runtime("admin", 1)?;
    // Before anything is served: who sees `/readyz` say yes may send SIGTERM at once.
    let (signals, hangup) = admin_runtime.block_on(async { Ok::<_, ServerError>((Signals::listen()?, hangup()?)) })?;
    let (stop_public, public_watch) = watch::channel(false);
    let (stop_admin, admin_watch) = watch::channel(false);
    let sockets = UnixSockets { runtime: &admin_runtime, instead: instead(predecessor.as_ref()) };
    let _control = sockets.serve_control(&live, admin_watch.clone())?;
    let handover = sockets.handover(&settings, &listeners)?;
    let public = self::start(&runtime, public, listeners.public, settings.listen, public_watch);
    let admin = self::start(&admin_runtime, admin, listeners.admin, settings.admin_listen, admin_watch);
    let _sweeper = admin_runtime.spawn(sweep(Arc::clone(&live)));
    // Where requests are served: the store's connections live on the runtime that makes them.
    let _follower = runtime.spawn(follow(Arc::clone(&gateway)));
    let _sender = runtime.spawn(send_queued(Arc::clone(&gateway)));
    let _judge = runtime.spawn(streams::judge(Arc::clone(&gateway)));
    let _beats = admin_runtime.spawn(streams::keep_time(Arc::clone(&gateway.sessions)));
    let _expiry = admin_runtime.spawn(idps::watch_expiry(Arc::clone(&live)));
    let _names = admin_runtime.spawn(upstream::keep_resolved(Arc::clone(&live)));
    let _health = admin_runtime.spawn(upstream::keep_checked(Arc::clone(&live)));
    announce(&settings);
    gateway.tell_certificate_ends();
    if let Some(end) = certificate.as_ref().and_then(|certificate| certificate.not_after()) {
        gateway.metrics.listener_certificate_ends(end);
    }
    gateway.metrics.settings_taken(SystemTime::now().into());
    gateway.audit.note(&Event { event: "started", ..Event::default() });
    let mut refreshers = Refreshers::new(admin_runtime.handle().clone());
    refreshers.serve(&gateway.idps, &gateway.metrics);
    let reloader = Reloader { live, source, certificate, refreshers };
    let _reloader = admin_runtime.spawn(reloader.watch(hangup));

    if let Some(predecessor) = predecessor {
        predecessor.dismiss();
    }

    let serving = Serving { stop_public, stop_admin, public, _admin: admin };
    let ended = admin_runtime.block_on(until_ended(&gateway, signals, handover, serving));
    gateway.audit.note(&Event { event: "ended", ..Event::default() });
    runtime.shutdown_background();
    admin_runtime.shutdown_background();
    ended
}

/// Those that we bind, or those of the process that runs, and that process.
fn listeners(settings: &Settings, start: Start) -> Result<(Listeners, Option<Predecessor>), ServerError> {
    match start {
        Start::Afresh => {
            let public = bind("listen", settings.listen)?;
            Ok((Listeners { public, admin: bind("admin_listen", settings.admin_listen)? }, None))
        }
        Start::Upgrade => {
            let (listeners, predecessor) = Predecessor::take_over(settings)?;
            Ok((listeners, Some(predecessor)))
        }
    }
}

fn instead(predecessor: Option<&Predecessor>) -> Instead {
    if predecessor.is_some() { Instead::Predecessors } else { Instead::Nobodys }
}

/// Bound here and handed to Pingora, which would retry for half a minute and then panic.
fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, ServerError> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(|source| ServerError::Listen { setting, address, source })
}

fn start<A>(
    runtime: &Runtime,
    mut service: Service<A>,
    socket: TcpListener,
    address: SocketAddr,
    shutdown: ShutdownWatch,
) -> JoinHandle<()>
where
    A: ServerApp + Send + Sync + 'static,
{
    let mut sockets = Fds::new();
    sockets.add(address.to_string(), socket.into_raw_fd());
    let sockets: ListenFds = Arc::new(sockets.into());
    runtime.spawn(async move { service.start_service(Some(sockets), shutdown, 1).await })
}

/// With the certificate, where it is TLS.
fn add_listener<A>(public: &mut Service<A>, settings: &Settings) -> Result<Option<Arc<LiveCertificate>>, TlsError> {
    let address = settings.listen.to_string();
    let Some(files) = &settings.tls else {
        public.add_tcp(&address);
        return Ok(None);
    };
    let certificate = Arc::new(LiveCertificate::read(files)?);
    public.add_tls_with_settings(&address, None, certificate.settings(files)?);
    Ok(Some(certificate))
}

/// What listens for programs on this machine. The files are removed with what the functions return.
struct UnixSockets<'r> {
    runtime: &'r Runtime,
    instead: Instead,
}

/// What a successor asks us by.
struct Handover {
    socket: PrivateSocket,
    listeners: Listeners,
    _file: SocketFile,
}

impl UnixSockets<'_> {
    fn bind(&self, setting: &'static str, path: &Path) -> Result<(PrivateSocket, SocketFile), SocketError> {
        self.runtime.block_on(async { PrivateSocket::bind(setting, path, self.instead) })
    }

    /// The control API, where the settings have a socket for it.
    fn serve_control(&self, live: &Arc<Live>, shutdown: ShutdownWatch) -> Result<Option<SocketFile>, SocketError> {
        let settings = Arc::clone(&live.current().settings);
        let Some(path) = &settings.control_socket else { return Ok(None) };
        let (socket, file) = self.bind("control_socket", path)?;
        self.runtime.spawn(control::serve(Control(Arc::clone(live)), socket, shutdown));
        Ok(Some(file))
    }

    fn handover(&self, settings: &Settings, listeners: &Listeners) -> Result<Option<Handover>, ServerError> {
        let Some(path) = &settings.upgrade_socket else { return Ok(None) };
        let (socket, file) = self.bind("upgrade_socket", path)?;
        let listeners = listeners.try_clone().map_err(ServerError::Runtime)?;
        Ok(Some(Handover { socket, listeners, _file: file }))
    }
}

fn runtime(name: &str, threads: usize) -> Result<Runtime, ServerError> {
    Builder::new_multi_thread()
        .worker_threads(threads.max(1))
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(ServerError::Runtime)
}

/// What an administrator compares with the IdP's settings.
fn announce(settings: &Settings) {
    let sp = &settings.service_provider;
    let idps: Vec<String> = settings
        .identity_providers
        .iter()
        .map(|idp| {
            let keys = match &idp.trust {
                Trust::Pinned { certificates, .. } => {
                    certificates.iter().map(|known| known.fingerprint().to_string()).collect::<Vec<_>>().join(", ")
                }
                Trust::Fetched(source) => format!("from {}", idps::metadata_place(source)),
            };
            format!("{} ({}): {keys}", idp.id, idp.entity_id)
        })
        .collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        listen = %settings.listen,
        admin_listen = %settings.admin_listen,
        control_socket = settings.control_socket.as_ref().map(|path| display(path.display())),
        tls = settings.tls.is_some(),
        sp.entity_id = sp.entity_id.as_str(),
        sp.acs_url = sp.acs_url.as_str(),
        identity_providers = idps.join("; "),
        "samlgate is ready"
    );
}

async fn sweep(live: Arc<Live>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(60));
    loop {
        ticks.tick().await;
        let gateway = live.current();
        // A million sessions take a while.
        let swept = tokio::task::spawn_blocking(move || {
            gateway.limits.sweep();
            gateway.sessions.sweep(SystemTime::now().into());
        })
        .await;
        if let Err(panic) = swept {
            tracing::error!("the cache of sessions could not be swept: {panic}");
        }
    }
}

/// What was ended while the store was away.
async fn send_queued(gateway: Arc<Gateway>) {
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        gateway.sessions.send_queued().await;
    }
}

/// Keeps up with what other processes publish, and says when the store goes away and comes back.
async fn follow(gateway: Arc<Gateway>) {
    let mut ticks = tokio::time::interval(Duration::from_millis(250));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_away = false;
    loop {
        ticks.tick().await;
        match gateway.sessions.follow(SystemTime::now().into()).await {
            Ok(()) if is_away => {
                is_away = false;
                tracing::info!("the session store answers again");
            }
            Ok(()) => {}
            Err(error) => {
                gateway.store_failed("follow", &error);
                if !is_away {
                    tracing::error!(
                        "the session store does not answer: {error}; see that it runs, and what the settings say of it; \
                         sessions that are cached go on for `session.outage_limit`"
                    );
                }
                is_away = true;
            }
        }
    }
}

/// From now on SIGHUP does not end the process. Needs a runtime.
fn hangup() -> Result<Signal, ServerError> {
    signal(SignalKind::hangup()).map_err(ServerError::Runtime)
}

struct Signals {
    terminate: Signal,
    /// As nginx takes it: to end in order.
    quit: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on the signals no longer end the process by themselves. Needs a runtime.
    fn listen() -> Result<Self, ServerError> {
        let listen = |kind| signal(kind).map_err(ServerError::Runtime);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            quit: listen(SignalKind::quit())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.quit.recv() => SignalKind::quit(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        }
    }

    /// One that says it once more, and means it.
    async fn next_but_quit(&mut self) {
        while self.next().await == SignalKind::quit() {}
    }
}

/// What is to be stopped.
struct Serving {
    stop_public: watch::Sender<bool>,
    stop_admin: watch::Sender<bool>,
    public: JoinHandle<()>,
    _admin: JoinHandle<()>,
}

impl Handover {
    async fn done(handover: Option<Self>) {
        match handover {
            Some(Self { socket, listeners, _file }) => upgrade::handed_over(&socket, &listeners).await,
            None => std::future::pending().await,
        }
    }
}

async fn until_ended(
    gateway: &Gateway,
    mut signals: Signals,
    handover: Option<Handover>,
    serving: Serving,
) -> Result<Ended, ServerError> {
    let signal = tokio::select! {
        signal = signals.next() => Some(signal),
        () = Handover::done(handover) => None,
    };
    if signal == Some(SignalKind::interrupt()) {
        tracing::info!("SIGINT: ending at once");
        return Ok(Ended::AtOnce);
    }
    gateway.lifecycle.drain();
    let Serving { stop_public, stop_admin, public, _admin } = serving;
    let requests = gateway.lifecycle.in_flight();
    if signal.is_none() {
        // The successor answers for itself from here on.
        let _ = stop_admin.send(true);
        tracing::info!(requests, "another process serves: no new connections; finishing requests");
    } else {
        tracing::info!(requests, "SIGTERM: no new connections; finishing requests");
    }
    let delay = signal.map_or(Duration::ZERO, |_| gateway.settings.shutdown_delay);
    let ended = async {
        tokio::time::sleep(delay).await;
        let _ = stop_public.send(true);
        drain(gateway, public).await
    };
    tokio::select! {
        ended = ended => Ok(ended),
        () = signals.next_but_quit() => {
            tracing::info!("second signal: ending at once");
            Ok(Ended::AtOnce)
        }
    }
}

async fn drain(gateway: &Gateway, public: JoinHandle<()>) -> Ended {
    let quiet = async {
        // Ends when the listener is closed and idle connections are told; requests under way go on.
        let _ = public.await;
        gateway.lifecycle.until_idle().await;
        gateway.sessions.send_queued().await;
    };
    let outcome = tokio::time::timeout(gateway.settings.shutdown_timeout, quiet).await;
    let queued = gateway.sessions.count_queued();
    if queued > 0 {
        tracing::error!(
            queued,
            "revocations never reached the session store: sessions that were ended here live on at other replicas"
        );
    }
    match outcome {
        Ok(()) => tracing::info!("samlgate has ended"),
        Err(_) => tracing::warn!(requests = gateway.lifecycle.in_flight(), "shutdown_timeout: requests are cut off"),
    }
    Ended::Drained
}
