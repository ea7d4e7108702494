//! The adapter to Pingora and nothing else: a phase gathers, calls, and applies the result.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};

use crate::live::Live;
use crate::request_road::{self, Journey};
use crate::shared::Gateway;

pub struct Proxy(pub Arc<Live>);

/// A request, and the gateway as it was when it came.
pub struct Passage {
    gateway: Arc<Gateway>,
    journey: Journey,
}

/// Pingora's "already answered".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    Continue,
    Answered,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = Passage;

    fn new_ctx(&self) -> Passage {
        let gateway = self.0.current();
        Passage { journey: Journey::begin(&gateway), gateway }
    }

    /// None: the answers of upstreams pass as they are.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, passage: &mut Passage) -> Result<bool> {
        let handled = request_road::enter(&passage.gateway, session, &mut passage.journey).await?;
        Ok(handled == Handled::Answered)
    }

    /// May run again after a failed connect: it reads the permit and decides nothing.
    async fn upstream_peer(&self, session: &mut Session, passage: &mut Passage) -> Result<Box<HttpPeer>> {
        request_road::peer(&passage.gateway, session.req_header(), &mut passage.journey).await.map(Box::new)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        passage: &mut Passage,
        mut error: Box<Error>,
    ) -> Box<Error> {
        request_road::let_server_rest(&passage.gateway, &passage.journey);
        // Nothing was sent yet, whatever the method.
        error.set_retry(request_road::may_try_another_server(&passage.gateway, &passage.journey));
        error
    }

    /// Runs behind Pingora's removal of hop-by-hop headers, so what is set here arrives.
    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        passage: &mut Passage,
    ) -> Result<()> {
        request_road::dress_request(&passage.gateway, session, request, &mut passage.journey)
    }

    /// What comes over a WebSocket, too.
    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        is_end: bool,
        passage: &mut Passage,
    ) -> Result<()> {
        if body.as_ref().is_some_and(|body| !body.is_empty()) {
            request_road::hear(&passage.journey);
        }
        request_road::swap_body(body, is_end, &passage.journey);
        request_road::measure_body(body.as_ref(), &mut passage.journey)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        passage: &mut Passage,
    ) -> Result<()> {
        if passage.gateway.lifecycle.is_draining() {
            session.as_downstream_mut().set_keepalive(None);
        }
        request_road::clean_response(response, &passage.journey);
        Ok(())
    }

    async fn response_trailer_filter(
        &self,
        _session: &mut Session,
        trailers: &mut HeaderMap,
        _passage: &mut Passage,
    ) -> Result<Option<Bytes>> {
        request_road::clean_trailers(trailers);
        Ok(None)
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, passage: &mut Passage) -> FailToProxy {
        let error_code = request_road::apologise(&passage.gateway, session, error, &mut passage.journey).await;
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, passage: &mut Passage) {
        request_road::record(&passage.gateway, session, error, &passage.journey);
    }

    /// Pingora's own has the query, which may hold secrets.
    fn request_summary(&self, _session: &Session, passage: &Passage) -> String {
        format!("request {}", passage.journey.request_id)
    }

    /// Failures are logged where they are answered.
    fn suppress_error_log(&self, _session: &Session, _passage: &Passage, _error: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _passage: &Passage,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}
