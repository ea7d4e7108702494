//! Bare Pingora, built as samlgate is: what a request costs before we do anything. `bare LISTEN UPSTREAM`.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd as _;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::Result;
use pingora::modules::http::HttpModules;
use pingora::proxy::{ProxyHttp, Session, http_proxy};
use pingora::server::Fds;
use pingora::server::configuration::ServerConf;
use pingora::services::Service as _;
use pingora::services::listening::Service;
use pingora::upstreams::peer::HttpPeer;
use tokio::sync::watch;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Bare {
    upstream: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn upstream_peer(&self, _session: &mut Session, _context: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut address = || arguments.next().and_then(|text| text.parse().ok()).expect("LISTEN UPSTREAM");
    let (listen, upstream): (SocketAddr, SocketAddr) = (address(), address());
    let socket = TcpListener::bind(listen).expect("the address is free");
    socket.set_nonblocking(true).expect("a socket can be told so");
    let conf = Arc::new(ServerConf { threads: 1, ..ServerConf::default() });
    let mut service = Service::new("bare".to_owned(), http_proxy(&conf, Bare { upstream }));
    service.add_tcp(&listen.to_string());
    let mut sockets = Fds::new();
    sockets.add(listen.to_string(), socket.into_raw_fd());
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (_stop, watch) = watch::channel(false);
    // As samlgate does: on a worker, not on the thread that waits.
    let serving = runtime.spawn(async move { service.start_service(Some(Arc::new(sockets.into())), watch, 1).await });
    let _ = runtime.block_on(serving);
}
