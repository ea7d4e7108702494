//! Tabs: what a user and the scripts of a page do.

use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use url::Url;

use super::csp::FormAction;
use super::load::{Credentials, Initiator, Kind, Load, RequestBody};
use super::{Browser, Form, Page, authority, cookie_header, referrer_policy};

/// A window with a page in it.
pub struct Tab {
    pub(super) browser: Browser,
    pub(super) current: Option<(Page, Load)>,
}

/// A background request of a page's script.
#[derive(Debug, Clone)]
pub struct Fetch {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<RequestBody>,
    credentials: Credentials,
    kind: Kind,
}

impl Fetch {
    pub fn get(url: &str) -> Self {
        Self::new("GET", url, Kind::Fetch)
    }

    pub fn post(url: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = RequestBody { content_type: content_type.to_owned(), bytes: body.into() };
        Self { body: Some(body), ..Self::new("POST", url, Kind::Fetch) }
    }

    pub fn image(url: &str) -> Self {
        Self { credentials: Credentials::Include, ..Self::new("GET", url, Kind::Image) }
    }

    pub fn prefetch(url: &str) -> Self {
        Self { credentials: Credentials::Include, ..Self::new("GET", url, Kind::Prefetch) }
    }

    pub fn frame(url: &str) -> Self {
        Self { credentials: Credentials::Include, ..Self::new("GET", url, Kind::Frame) }
    }

    pub fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    fn new(method: &str, url: &str, kind: Kind) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: None,
            credentials: Credentials::SameOrigin,
            kind,
        }
    }
}

impl Tab {
    /// What the last navigation brought.
    pub fn page(&self) -> &Page {
        &self.current.as_ref().expect("the tab has a page").0
    }

    pub fn browser(&self) -> &Browser {
        &self.browser
    }

    /// Types an address.
    pub async fn visit(&mut self, url: &str) -> &Page {
        let url = url.parse().unwrap_or_else(|error| panic!("{url:?}: {error}"));
        self.go(url, None).await
    }

    /// Clicks the link whose text contains `text`.
    pub async fn click(&mut self, text: &str) -> &Page {
        let url = self.page().link(text).url;
        self.go(url, self.initiator()).await
    }

    /// Goes to `url` as a link on the present page would.
    pub async fn follow(&mut self, url: &str) -> &Page {
        let url = self.page().url.join(url).unwrap_or_else(|error| panic!("{url:?}: {error}"));
        self.go(url, self.initiator()).await
    }

    /// Submits a form of the present page, as the user.
    pub async fn submit(&mut self, form: Form) -> &Page {
        self.send_form(form, true).await
    }

    /// Submits a form of the present page whose fields make these bytes, as the user.
    pub async fn post(&mut self, url: &str, content_type: &str, bytes: impl Into<Vec<u8>>) -> &Page {
        let url = self.page().url.join(url).unwrap_or_else(|error| panic!("{url:?}: {error}"));
        let mut load = Load::new(Kind::Document, "POST", url, self.initiator());
        load.user_activated = true;
        load.body = Some(RequestBody { content_type: content_type.to_owned(), bytes: bytes.into() });
        self.show(load).await
    }

    /// Does what a page does that submits its only form by script.
    pub async fn auto_submit(&mut self) -> &Page {
        let form = self.page().form();
        self.send_form(form, false).await
    }

    /// Loads the present page again, as it came.
    pub async fn reload(&mut self) -> &Page {
        let (page, mut load) = self.current.take().expect("the tab has a page");
        load.chain = vec![page.url];
        load.form_action = None;
        self.show(load).await
    }

    /// A background request of the present page; the page stays.
    pub async fn fetch(&self, fetch: Fetch) -> Page {
        let url = self.page().url.join(&fetch.url).unwrap_or_else(|error| panic!("{:?}: {error}", fetch.url));
        let mut load = Load::new(fetch.kind, &fetch.method, url, self.initiator());
        load.body = fetch.body;
        load.credentials = fetch.credentials;
        load.extra_headers = fetch.headers;
        self.browser.load(load).await.0
    }

    /// Opens a WebSocket from the present page; an answer other than 101 is the error.
    pub async fn open_websocket(
        &self,
        url: &str,
    ) -> Result<WebSocketStream<TcpStream>, tokio_tungstenite::tungstenite::Error> {
        let mut url = self.page().url.join(url).unwrap_or_else(|error| panic!("{url:?}: {error}"));
        let load = Load::new(Kind::WebSocket, "GET", url.clone(), self.initiator());
        let (cookies, address) = {
            let state = self.browser.state();
            (state.jar.for_request(&url, load.same_site_context(), state.now()), state.address_of(&url))
        };
        let authority = authority(&url);
        url.set_scheme("ws").expect("http becomes ws");
        let mut request = url.as_str().into_client_request()?;
        let mut headers = load.headers();
        headers.push(("Cookie".to_owned(), cookie_header(&cookies)));
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            let name: http::HeaderName = name.parse().expect("a header name");
            request.headers_mut().insert(name, value.parse().expect("a header value"));
        }
        let stream = match address {
            Some(address) => TcpStream::connect(address).await?,
            None => TcpStream::connect(authority).await?,
        };
        Ok(tokio_tungstenite::client_async(request, stream).await?.0)
    }

    async fn send_form(&mut self, form: Form, user_activated: bool) -> &Page {
        let mut load = Load::new(Kind::Document, &form.method, form.action.clone(), self.initiator());
        load.user_activated = user_activated;
        load.form_action = Some(FormAction::of(&self.page().url, &self.page().headers));
        if form.method == "POST" {
            load.body = Some(RequestBody {
                content_type: "application/x-www-form-urlencoded".to_owned(),
                bytes: form.encoded().into_bytes(),
            });
        } else {
            load.chain[0].set_query(Some(&form.encoded()));
        }
        self.show(load).await
    }

    /// Goes to `url` because the user wants it.
    async fn go(&mut self, url: Url, initiator: Option<Initiator>) -> &Page {
        let mut load = Load::new(Kind::Document, "GET", url, initiator);
        load.user_activated = true;
        self.show(load).await
    }

    async fn show(&mut self, load: Load) -> &Page {
        let loaded = self.browser.load(load).await;
        &self.current.insert(loaded).0
    }

    fn initiator(&self) -> Option<Initiator> {
        let page = self.page();
        Some(Initiator { url: page.url.clone(), referrer_policy: referrer_policy(page) })
    }
}
