//! The connection to Redis: made when first needed, made again when it broke, one for all requests (RESP pipelining).
//!
//! A command whose connection broke is sent once more over a new one. Every command of the store bears that: done
//! twice it does no more, or it refuses the second time.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use config::{RedisServer, RedisSettings, RedisTls, RedisTopology};
use futures_util::future::try_join_all;
use prometheus::Histogram;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo,
    Pipeline, RedisConnectionInfo, RedisError, RedisFuture, RedisResult, ScriptInvocation, ServerErrorKind,
    TlsCertificates, TlsMode, Value, pipe,
};
use tokio::sync::Mutex as AsyncMutex;
use zeroize::Zeroizing;

use crate::session::store::StoreError;

/// After an attempt that failed nobody waits for another so soon: requests are refused at once.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(200);
/// The library gives each sentinel a second.
const LEAST_PATIENCE: Duration = Duration::from_secs(4);

pub(super) struct Link {
    settings: RedisSettings,
    /// One attempt at a time; when the last one failed, and why.
    connecting: AsyncMutex<Option<(Instant, String)>>,
    current: Mutex<Current>,
    /// How long Redis takes, in seconds.
    times: Option<Histogram>,
}

#[derive(Default)]
struct Current {
    connection: Option<Connection>,
    /// Counts connections, so that a command that fails late does not close the next one.
    number: u64,
}

#[derive(Clone)]
enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

enum Ask<'a> {
    Command(&'a Cmd),
    Commands(&'a Pipeline),
    Script(&'a ScriptInvocation<'a>),
}

impl Ask<'_> {
    async fn of<T: FromRedisValue>(&self, mut connection: Connection) -> RedisResult<T> {
        match self {
            Self::Command(command) => command.query_async(&mut connection).await,
            Self::Commands(commands) => commands.query_async(&mut connection).await,
            Self::Script(script) => script.invoke_async(&mut connection).await,
        }
    }
}

impl Link {
    pub(super) fn new(settings: RedisSettings) -> Self {
        if settings.tls.is_some() {
            pingora::tls::install_default_crypto_provider();
        }
        Self { settings, connecting: AsyncMutex::default(), current: Mutex::default(), times: None }
    }

    pub(super) fn time(&mut self, times: Histogram) {
        self.times = Some(times);
    }

    /// # Errors
    /// Redis does not answer in time, or refuses.
    pub(super) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        self.ask(&Ask::Command(command)).await
    }

    /// Commands of one key that happen together.
    ///
    /// # Errors
    /// As [`Link::command`].
    pub(super) async fn transaction(&self, commands: &Pipeline) -> Result<(), StoreError> {
        self.ask(&Ask::Commands(commands)).await
    }

    /// Commands of different keys, sent together, each with its answer.
    ///
    /// # Errors
    /// As [`Link::command`]; some may have been done.
    pub(super) async fn each<T: FromRedisValue>(&self, commands: &[Cmd]) -> Result<Vec<T>, StoreError> {
        if self.settings.topology == RedisTopology::Cluster {
            // A pipeline is for one slot.
            return try_join_all(commands.iter().map(|command| self.command(command))).await;
        }
        let mut pipeline = pipe();
        for command in commands {
            pipeline.add_command(command.clone());
        }
        self.ask(&Ask::Commands(&pipeline)).await
    }

    /// # Errors
    /// As [`Link::command`].
    pub(super) async fn script<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        self.ask(&Ask::Script(script)).await
    }

    async fn ask<T: FromRedisValue>(&self, what: &Ask<'_>) -> Result<T, StoreError> {
        let _timer = self.times.as_ref().map(Histogram::start_timer);
        let mut is_second = false;
        loop {
            let (connection, number) = self.connection().await?;
            let error = match what.of(connection).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if self.is_broken(&error) {
                self.close(number);
                if !is_second && !error.is_timeout() {
                    is_second = true;
                    continue;
                }
            }
            return Err(away(&error));
        }
    }

    async fn connection(&self) -> Result<(Connection, u64), StoreError> {
        if let Some(connection) = self.open() {
            return Ok(connection);
        }
        let mut last = self.connecting.lock().await;
        if let Some(connection) = self.open() {
            return Ok(connection);
        }
        if let Some((when, problem)) = &*last
            && when.elapsed() < BETWEEN_ATTEMPTS
        {
            return Err(StoreError::Away { problem: problem.clone() });
        }
        match connect(&self.settings).await {
            Ok(connection) => {
                *last = None;
                let mut current = self.current();
                current.number = current.number.wrapping_add(1);
                current.connection = Some(connection.clone());
                Ok((connection, current.number))
            }
            Err(problem) => {
                *last = Some((Instant::now(), problem.clone()));
                Err(StoreError::Away { problem })
            }
        }
    }

    /// Whether another connection may do better: this one is gone, hangs, or leads to a server that lost its role. The
    /// library mends a cluster node by node, and what works of it is kept.
    fn is_broken(&self, error: &RedisError) -> bool {
        match self.settings.topology {
            RedisTopology::Cluster => error.kind() == ErrorKind::ClusterConnectionNotFound,
            RedisTopology::Single | RedisTopology::Sentinel { .. } => {
                has_lost_its_role(error) || error.is_io_error() || error.is_timeout() || error.is_unrecoverable_error()
            }
        }
    }

    fn open(&self) -> Option<(Connection, u64)> {
        let current = self.current();
        current.connection.clone().map(|connection| (connection, current.number))
    }

    fn close(&self, number: u64) {
        let mut current = self.current();
        if current.number == number {
            current.connection = None;
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a server says that it must not be written to: it was a master, or sees too few of its replicas.
fn has_lost_its_role(error: &RedisError) -> bool {
    // A transaction tells no more than that it was aborted; Redis 6 wraps the errors of scripts.
    let is_wrapped = error.detail().is_some_and(|detail| detail.contains("READONLY"));
    let kinds = [ServerErrorKind::ReadOnly, ServerErrorKind::MasterDown, ServerErrorKind::ExecAbort];
    is_wrapped
        || error.code() == Some("NOREPLICAS")
        || kinds.into_iter().any(|kind| error.kind() == ErrorKind::Server(kind))
}

fn away(error: &RedisError) -> StoreError {
    StoreError::Away { problem: error.to_string() }
}

async fn connect(settings: &RedisSettings) -> Result<Connection, String> {
    let connected = async {
        let password = read_password(settings.password_file.as_deref()).await?;
        let password = password.as_ref().map(|password| password.as_str());
        let roots = read_roots(settings.tls.as_ref()).await?;
        match &settings.topology {
            RedisTopology::Single => {
                let server = settings.servers.first().ok_or("`session.redis.servers` is empty")?;
                let info = node(settings, server, password).map_err(said)?;
                let client = match roots {
                    Some(roots) => Client::build_with_tls(info, roots),
                    None => Client::open(info),
                };
                to_server(&client.map_err(said)?, settings.timeout).await
            }
            RedisTopology::Sentinel { master_name, username, password_file } => {
                let of_sentinel = (username.as_deref(), read_password(password_file.as_deref()).await?);
                let mut sentinel = sentinel(settings, master_name, password, roots, of_sentinel).map_err(said)?;
                to_server(&sentinel.async_get_client().await.map_err(said)?, settings.timeout).await
            }
            RedisTopology::Cluster => {
                let client = cluster(settings, password, roots).map_err(said)?;
                client.get_async_connection().await.map(Connection::Cluster).map_err(said)
            }
        }
    };
    // The way to a server has several steps, and each may hang: of sentinels the first may be the one that is down.
    let patience = settings.timeout.saturating_mul(3).max(LEAST_PATIENCE);
    match tokio::time::timeout(patience, connected).await {
        Ok(outcome) => outcome,
        Err(_) => Err("no connection in time".to_owned()),
    }
}

fn said(error: RedisError) -> String {
    error.to_string()
}

async fn to_server(client: &Client, timeout: Duration) -> Result<Connection, String> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(timeout)).set_response_timeout(Some(timeout));
    client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Server).map_err(said)
}

fn node(settings: &RedisSettings, server: &RedisServer, password: Option<&str>) -> RedisResult<ConnectionInfo> {
    let mut login = RedisConnectionInfo::default().set_db(i64::from(settings.database));
    if let Some(username) = &settings.username {
        login = login.set_username(username);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    let info = address_of(server, settings.tls.is_some()).into_connection_info()?;
    Ok(info.set_redis_settings(login).set_tcp_settings(tcp()))
}

fn sentinel(
    settings: &RedisSettings,
    master_name: &str,
    password: Option<&str>,
    roots: Option<TlsCertificates>,
    (sentinel_username, sentinel_password): (Option<&str>, Option<Zeroizing<String>>),
) -> RedisResult<SentinelClient> {
    let has_tls = settings.tls.is_some();
    let addresses = settings.servers.iter().map(|server| address_of(server, has_tls));
    let mut builder = SentinelClientBuilder::new(addresses, master_name, SentinelServerType::Master)?
        .set_client_to_redis_db(i64::from(settings.database))
        .set_client_to_redis_tcp_settings(tcp());
    if let Some(username) = &settings.username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = password {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(username) = sentinel_username {
        builder = builder.set_client_to_sentinel_username(username);
    }
    if let Some(password) = sentinel_password {
        builder = builder.set_client_to_sentinel_password(password.as_str());
    }
    if has_tls {
        builder =
            builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    if let Some(roots) = roots {
        builder = builder.set_client_to_redis_certificates(roots.clone()).set_client_to_sentinel_certificates(roots);
    }
    builder.build()
}

fn cluster(
    settings: &RedisSettings,
    password: Option<&str>,
    roots: Option<TlsCertificates>,
) -> RedisResult<ClusterClient> {
    let seeds = settings.servers.iter().map(|server| address_of(server, settings.tls.is_some()));
    let mut builder = ClusterClientBuilder::new(seeds)
        .retries(2)
        .min_retry_wait(50)
        .max_retry_wait(500)
        .connection_timeout(settings.timeout)
        .response_timeout(settings.timeout)
        .tcp_settings(tcp());
    if let Some(username) = &settings.username {
        builder = builder.username(username);
    }
    if let Some(password) = password {
        builder = builder.password(password);
    }
    if settings.tls.is_some() {
        builder = builder.tls(TlsMode::Secure);
    }
    if let Some(roots) = roots {
        builder = builder.certs(roots);
    }
    builder.build()
}

/// A small command waits for no answer to the one before it.
fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

fn address_of(server: &RedisServer, has_tls: bool) -> ConnectionAddr {
    let (host, port) = (server.host.clone(), server.port);
    if has_tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

/// Read at each connection, so that a password that was changed needs no restart.
async fn read_password(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, String> {
    let Some(file) = file else { return Ok(None) };
    match tokio::fs::read_to_string(file).await {
        Ok(text) => Ok(Some(Zeroizing::new(Zeroizing::new(text).trim_end_matches(['\r', '\n']).to_owned()))),
        Err(error) => Err(unreadable(file, &error)),
    }
}

async fn read_roots(tls: Option<&RedisTls>) -> Result<Option<TlsCertificates>, String> {
    let Some(file) = tls.and_then(|tls| tls.ca_file.as_ref()) else { return Ok(None) };
    let roots = tokio::fs::read(file).await.map_err(|error| unreadable(file, &error))?;
    Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(roots) }))
}

fn unreadable(file: &Path, error: &std::io::Error) -> String {
    format!("{} cannot be read: {error}", file.display())
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
