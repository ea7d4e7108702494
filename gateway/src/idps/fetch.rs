//! Fetches metadata over HTTP: bounded in time and size, asked again only for what has changed.

use std::error::Error as _;
use std::fs;
use std::io;
use std::time::Duration;

use config::MetadataSource;
use http::header::{ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderValue, StatusCode};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Client, Response};

/// saml-core reads no more of it either.
const MAX_BYTES: usize = 1024 * 1024;
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// For the whole of it, redirects and body included.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 3;

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("`metadata_ca_file` cannot be used: {0}")]
    Authorities(String),
    #[error("{place} cannot be fetched: {problem}")]
    Unreachable { place: String, problem: String },
    #[error("{place} answers {status}, and metadata comes with 200")]
    Status { place: String, status: StatusCode },
    #[error("{place} sends more than {MAX_BYTES} bytes, which metadata is not")]
    TooLarge { place: String },
}

/// What came of one request.
pub(super) enum Fetched {
    /// The server says that what we have is the newest.
    Unchanged,
    Document {
        bytes: Vec<u8>,
        validators: Validators,
    },
}

/// By what the server tells one version from another (RFC 9110 §8.8).
#[derive(Debug, Default, Clone)]
pub(super) struct Validators {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

impl Validators {
    /// Whether a request with them has a condition.
    fn ask(&self) -> bool {
        self.etag.is_some() || self.last_modified.is_some()
    }
}

pub(super) struct Fetcher {
    client: Client,
    source: MetadataSource,
}

impl Fetcher {
    /// # Errors
    /// The authorities cannot be read, or the TLS library refuses them.
    pub(super) fn new(source: &MetadataSource) -> Result<Self, FetchError> {
        let authorities = |error: &dyn std::fmt::Display| FetchError::Authorities(error.to_string());
        let mut builder = Client::builder()
            .user_agent(concat!("samlgate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(Policy::custom(stay_on_host));
        // Plain http is for this machine alone, where no proxy leads.
        builder = if source.url.scheme() == "http" { builder.no_proxy() } else { builder.https_only(true) };
        if let Some(file) = &source.ca_file {
            let pem = fs::read(file).map_err(|error: io::Error| authorities(&error))?;
            let own = Certificate::from_pem_bundle(&pem).map_err(|error| authorities(&error))?;
            builder = builder.tls_certs_only(own);
        }
        let client = builder.build().map_err(|error| authorities(&reasons(&error)))?;
        Ok(Self { client, source: source.clone() })
    }

    /// `known` is what came with the version that is in use.
    pub(super) async fn fetch(&self, known: &Validators) -> Result<Fetched, FetchError> {
        let mut request = self.client.get(self.source.url.clone());
        for (name, value) in [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)] {
            if let Some(value) = value {
                request = request.header(name, value.clone());
            }
        }
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        match response.status() {
            StatusCode::OK => {
                let header = |name| response.headers().get(name).cloned();
                let validators = Validators { etag: header(ETAG), last_modified: header(LAST_MODIFIED) };
                Ok(Fetched::Document { bytes: self.body(response).await?, validators })
            }
            // To a request without a condition it says nothing (RFC 9110 §15.4.5), and nothing may be there yet.
            StatusCode::NOT_MODIFIED if known.ask() => Ok(Fetched::Unchanged),
            status => Err(FetchError::Status { place: self.place(), status }),
        }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if bytes.len().saturating_add(chunk.len()) > MAX_BYTES {
                return Err(FetchError::TooLarge { place: self.place() });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn unreachable(&self, error: reqwest::Error) -> FetchError {
        FetchError::Unreachable { place: self.place(), problem: reasons(&error.without_url()) }
    }

    fn place(&self) -> String {
        place(&self.source)
    }
}

/// The address without its query, which may hold a secret.
pub(crate) fn place(source: &MetadataSource) -> String {
    let mut url = source.url.clone();
    url.set_query(None);
    url.to_string()
}

/// Whoever may name another host may name the keys; that host is not in the settings.
fn stay_on_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let origin =
        |url: &url::Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default());
    let first = attempt.previous().first().map(origin);
    if first != Some(origin(attempt.url())) {
        let to = attempt.url().host_str().unwrap_or_default().to_owned();
        return attempt.error(format!(
            "it redirects to another place ({to}), which is not followed: set `metadata_url` to where it leads"
        ));
    }
    if attempt.previous().len() > MAX_REDIRECTS {
        return attempt.error(format!("it redirects more than {MAX_REDIRECTS} times"));
    }
    attempt.follow()
}

/// The error and what is behind it.
fn reasons(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use config::MetadataSource;
    use saml_core::NewKeys;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What a server that answers 304 to everything makes of a request with `known`.
    async fn not_modified(known: &Validators) -> Result<Fetched, FetchError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url::Url::parse(&format!("http://{}/metadata", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await.unwrap();
            stream.write_all(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n").await.unwrap();
        });
        let refresh = Duration::from_secs(3600);
        let source = MetadataSource { url, new_keys: NewKeys::Accept, refresh, ca_file: None, sso_url: None };
        Fetcher::new(&source).unwrap().fetch(known).await
    }

    #[tokio::test]
    async fn not_modified_is_an_answer_only_to_a_question() {
        let known = Validators { etag: Some(HeaderValue::from_static("\"1\"")), last_modified: None };
        assert!(matches!(not_modified(&known).await, Ok(Fetched::Unchanged)));
        let unasked = not_modified(&Validators::default()).await;
        assert!(matches!(unasked, Err(FetchError::Status { status: StatusCode::NOT_MODIFIED, .. })));
    }
}
