//! Who is measured: each as its users would set it up, in front of one application, on one core.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use harness::browser::Browser;
use harness::gateway::{Gateway, GatewayBuilder, IDP_ENTITY_ID, Program, free_port};
use harness::idp::{Idp, IdpOptions, IdpSettings, User};
use harness::issuer::{Sign, test_keys};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::load::Requests;
use super::process::Process;

/// What the application answers.
pub const BODY: &[u8] = &[b'a'; 1024];
/// Beside the session's.
const OTHER_COOKIES: &str = "theme=dark; lang=en; _ga=GA1.1.1234567890.1234567890; consent=all";
const PATIENCE: Duration = Duration::from_secs(20);

/// One that is measured.
pub struct Contestant {
    pub name: &'static str,
    /// It lets nobody pass who has not signed in.
    pub authenticates: bool,
    pub address: SocketAddr,
    pub requests: Requests,
    pub process: u32,
    _kept: Vec<Box<dyn std::any::Any>>,
}

/// A request of a browser with that cookie.
fn request(host: &str, cookie: &str) -> Vec<u8> {
    format!(
        "GET /file HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
         Accept-Encoding: gzip, deflate, br\r\nCookie: {OTHER_COOKIES}; {cookie}\r\n\r\n"
    )
    .into_bytes()
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn wait_for(address: SocketAddr, what: &str) {
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < PATIENCE, "{what} does not listen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The application: nginx with one file, on the second core.
pub struct Application {
    pub address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Application {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("file"), BODY).expect("a file");
        let address = loopback(free_port());
        let settings = nginx_settings(
            folder.path(),
            &format!("server {{ listen {address}; root {}; keepalive_requests 1000000000; }}", folder.path().display()),
        );
        let process = Process::on_second_core("nginx", &["-e", "stderr", "-c", &settings]);
        wait_for(address, "nginx");
        Self { address, _process: process, _folder: folder }
    }
}

fn nginx_settings(folder: &Path, http: &str) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {};", folder.join(name).display()))
        .concat();
    let file = folder.join("nginx.conf");
    let text = format!(
        "user root; daemon off; worker_processes 1; pid {}; error_log stderr;\nevents {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; {temporary} {http} }}\n",
        folder.join("nginx.pid").display(),
    );
    fs::write(&file, text).expect("settings can be written");
    file.display().to_string()
}

/// nginx as a proxy.
pub fn nginx(name: &'static str, application: SocketAddr) -> Contestant {
    nginx_with(name, application, "", "", "")
}

/// nginx that asks about each request, as it would ask a gateway, over a connection that it keeps; what answers does nothing, and
/// its cost is in the figure.
pub fn nginx_that_asks(name: &'static str, application: SocketAddr) -> Contestant {
    let responder = loopback(free_port());
    let servers = format!(
        "upstream responder {{ server {responder}; keepalive 128; keepalive_requests 1000000000; }}\n\
         server {{ listen {responder}; return 204; }}"
    );
    let location = "location = /auth { internal; proxy_pass http://responder; proxy_http_version 1.1; \
                    proxy_set_header Connection \"\"; proxy_pass_request_body off; proxy_set_header Content-Length \"\"; }";
    nginx_with(name, application, "auth_request /auth;", location, &servers)
}

/// `guard` goes into the location, `more` beside it, `servers` beside the server.
fn nginx_with(name: &'static str, application: SocketAddr, guard: &str, more: &str, servers: &str) -> Contestant {
    let folder = tempfile::tempdir().expect("a folder");
    let address = loopback(free_port());
    let settings = nginx_settings(
        folder.path(),
        &format!(
            "{servers}\n upstream app {{ server {application}; keepalive 128; keepalive_requests 1000000000; }}\n\
             server {{ listen {address}; {more}\n location / {{ {guard} proxy_pass http://app; proxy_http_version 1.1; \
             proxy_set_header Connection \"\"; proxy_set_header Host $host; }} }}"
        ),
    );
    let process = Process::on_first_core("nginx", &["-e", "stderr", "-c", &settings], &[]);
    wait_for(address, name);
    plain(name, address, process, folder)
}

/// One that looks at no session.
fn plain(name: &'static str, address: SocketAddr, process: Process, folder: TempDir) -> Contestant {
    let requests = vec![request(&address.to_string(), &format!("session={}", "A".repeat(43)))];
    Contestant {
        name,
        authenticates: false,
        address,
        requests: requests.into(),
        process: process.id(),
        _kept: vec![Box::new(process), Box::new(folder)],
    }
}

pub fn haproxy(name: &'static str, application: SocketAddr) -> Contestant {
    let folder = tempfile::tempdir().expect("a folder");
    let address = loopback(free_port());
    let settings = format!(
        "global\n nbthread 1\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
         frontend f\n bind {address}\n default_backend b\nbackend b\n http-reuse always\n server a {application}\n"
    );
    let file = folder.path().join("haproxy.cfg");
    fs::write(&file, settings).expect("settings can be written");
    let process = Process::on_first_core("haproxy", &["-db", "-f", &file.display().to_string()], &[]);
    wait_for(address, name);
    plain(name, address, process, folder)
}

pub fn bare_pingora(name: &'static str, program: &Path, application: SocketAddr) -> Contestant {
    let address = loopback(free_port());
    let arguments = [address.to_string(), application.to_string()];
    let program = program.display().to_string();
    let process = Process::on_first_core(&program, &[&arguments[0], &arguments[1]], &[]);
    wait_for(address, name);
    plain(name, address, process, tempfile::tempdir().expect("a folder"))
}

/// For one service provider; with 64 people and an RSA-2048 key.
async fn idp(entity_id: &str, acs_url: &str) -> Idp {
    let mut settings = IdpSettings::new(IDP_ENTITY_ID, entity_id, acs_url);
    settings.sign = Sign::Both;
    let mut options = IdpOptions::new(settings);
    options.users.extend((0..64).map(User::numbered));
    options.key = test_keys::rsa_2048().clone();
    Idp::start(options).await
}

/// Everybody's cookies of that site.
fn cookies(browser: &Browser, host: &str) -> String {
    let jar = browser.jar();
    let own = jar.cookies().iter().filter(|cookie| cookie.domain == host);
    own.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ")
}

/// samlgate with people who are signed in.
pub struct Samlgate {
    gateway: Gateway,
    idp: Idp,
}

impl Samlgate {
    pub async fn start(program: &Path, application: SocketAddr, more: &[(&str, Value)]) -> Self {
        let program = Program::new("taskset").argument("-c").argument("0").argument(program.as_os_str().to_owned());
        let builder = GatewayBuilder::new(program);
        let idp = idp(&builder.sp_entity_id(), &builder.acs_url()).await;
        let builder = builder
            .trust(&idp)
            .set("upstreams", json!({ "app": { "servers": [application.to_string()] } }))
            .set("routes", json!([{ "path_prefix": "/", "access": "signed_in", "upstream": "app" }]))
            .set("threads", json!(1))
            .set("login_page", json!(false))
            .set("limits", json!({ "logins_per_address": 10_000_000, "logins": 10_000_000 }))
            .set("log", json!({ "access": false, "level": "warn" }));
        let builder = more.iter().fold(builder, |builder, (path, value)| builder.set(path, value.clone()));
        Self { gateway: builder.start().await, idp }
    }

    pub fn process(&self) -> u32 {
        self.gateway.process_id().expect("it runs")
    }

    /// A whole sign-in, and the Cookie header that it ends with.
    pub async fn sign_in(&self, number: usize) -> String {
        let browser = Browser::new();
        let mut tab = browser.tab();
        tab.visit(&self.gateway.url("/file")).await;
        self.idp.sign_in(&mut tab, &User::numbered(number % 64).username).await;
        tab.auto_submit().await;
        assert_eq!(tab.page().status, 200, "{}", tab.page().body);
        let cookie = browser.cookie("localhost", "__Host-samlgate").expect("somebody is signed in");
        format!("__Host-samlgate={}", cookie.value)
    }

    pub fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Of somebody who signs in.
    pub async fn request(&self, number: usize) -> Vec<u8> {
        request(self.gateway.authority(), &self.sign_in(number).await)
    }

    /// The last request of a sign-in, with a response that is signed already.
    pub async fn last_step(&self, number: usize) -> Vec<u8> {
        let browser = Browser::new();
        browser.tab().visit(&self.gateway.url("/file")).await;
        let asked = self.idp.requests().pop().expect("a request reached the IdP");
        let user = User::numbered(number % 64).username;
        let spec = self.idp.response_spec(&user, Some(&asked.id)).sign(Sign::Both);
        let xml = spec.issue(self.idp.key()).xml;
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("SAMLResponse", &BASE64.encode(xml))
            .append_pair("RelayState", "x")
            .finish();
        let cookie = browser.cookie("localhost", "__Host-samlgate-login").expect("the login is bound to the browser");
        format!(
            "POST /saml/acs HTTP/1.1\r\nHost: {}\r\nOrigin: {}\r\nAccept: text/html\r\nSec-Fetch-Site: cross-site\r\n\
             Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nCookie: __Host-samlgate-login={}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.gateway.authority(),
            self.idp.origin(),
            cookie.value,
            body.len(),
        )
        .into_bytes()
    }

    pub async fn contestant(self, name: &'static str, sessions: usize) -> Contestant {
        let mut requests = Vec::with_capacity(sessions);
        for number in 0..sessions {
            requests.push(self.request(number).await);
        }
        Contestant {
            name,
            authenticates: true,
            address: self.gateway.address(),
            requests: requests.into(),
            process: self.process(),
            _kept: vec![Box::new(self)],
        }
    }
}

/// Apache with mod_auth_mellon. At 127.0.0.1, where the IdP is: its cookie would not come with the POST of another site.
pub struct Mellon {
    address: SocketAddr,
    idp: Idp,
    process: Process,
    folder: TempDir,
}

impl Mellon {
    pub async fn start(application: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = loopback(free_port());
        let public_url = format!("http://{address}");
        let idp = idp(&format!("{public_url}/mellon/metadata"), &format!("{public_url}/mellon/postResponse")).await;
        let rsa = test_keys::rsa_2048();
        let file = |name: &str, text: &str| -> PathBuf {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file can be written");
            path
        };
        let key = file("sp.key", rsa.key_pem());
        let certificate = file("sp.crt", rsa.certificate_pem());
        let metadata = file("idp.xml", &idp.metadata());
        let modules = "/usr/lib/apache2/modules";
        let load = [
            "mpm_event",
            "authn_core",
            "authz_core",
            "authz_user",
            "proxy",
            "proxy_http",
            "headers",
            "setenvif",
            "auth_mellon",
        ]
        .map(|name| format!("LoadModule {name}_module {modules}/mod_{name}.so\n"))
        .concat();
        let settings = file(
            "apache.conf",
            &format!(
                "{load}ServerRoot {root}\nDefaultRuntimeDir {root}\nPidFile {root}/apache.pid\nServerName 127.0.0.1\n\
                 Listen {address}\nErrorLog {root}/error.log\nUser www-data\nGroup www-data\n\
                 StartServers 1\nServerLimit 1\nThreadsPerChild 128\nThreadLimit 128\nMaxRequestWorkers 128\n\
                 KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 60\nMutex file:{root} default\n\
                 MellonCacheSize 1000\nMellonLockFile \"{root}/mellon.lock\"\n\
                 ProxyPass /mellon/ !\nProxyPass / http://{application}/ keepalive=On\n\
                 <Location />\n MellonEnable auth\n Require valid-user\n AuthType Mellon\n MellonSecureCookie Off\n SetEnvIf Host . MELLON_DISABLE_SAMESITE=1\n\
                 MellonSPPrivateKeyFile {key}\n MellonSPCertFile {certificate}\n MellonIdPMetadataFile {metadata}\n\
                 MellonEndpointPath /mellon\n MellonVariable session\n MellonUser email\n\
                 RequestHeader set X-Forwarded-User expr=%{{REMOTE_USER}}\n</Location>\n",
                root = folder.path().display(),
                key = key.display(),
                certificate = certificate.display(),
                metadata = metadata.display(),
            ),
        );
        let _ = std::process::Command::new("chmod").args(["-R", "a+rwX"]).arg(folder.path()).status();
        let process =
            Process::on_first_core("apache2", &["-D", "FOREGROUND", "-f", &settings.display().to_string()], &[]);
        wait_for(address, "Apache");
        Self { address, idp, process, folder }
    }

    pub fn process(&self) -> u32 {
        self.process.id()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }

    pub async fn sign_in(&self, number: usize) -> String {
        let browser = Browser::new();
        let mut tab = browser.tab();
        tab.visit(&format!("http://{}/file", self.address)).await;
        tab.auto_submit().await;
        self.idp.sign_in(&mut tab, &User::numbered(number % 64).username).await;
        tab.auto_submit().await;
        assert_eq!(tab.page().status, 200, "{}", self.log());
        cookies(&browser, "127.0.0.1")
            .split("; ")
            .find(|cookie| cookie.starts_with("mellon-session="))
            .expect("somebody is signed in")
            .to_owned()
    }

    pub async fn contestant(self, name: &'static str, sessions: usize) -> Contestant {
        let mut requests = Vec::with_capacity(sessions);
        for number in 0..sessions {
            let cookie = self.sign_in(number).await;
            requests.push(request(&self.address.to_string(), &cookie));
        }
        Contestant {
            name,
            authenticates: true,
            address: self.address,
            requests: requests.into(),
            process: self.process(),
            _kept: vec![Box::new(self)],
        }
    }
}

/// oauth2-proxy with its sessions in the cookie, and people of an htpasswd file.
pub async fn oauth2_proxy(name: &'static str, program: &Path, application: SocketAddr, sessions: usize) -> Contestant {
    let folder = tempfile::tempdir().expect("a folder");
    let address = loopback(free_port());
    let passwords = folder.path().join("htpasswd");
    // SHA-1 of "secret", as htpasswd -s writes it.
    fs::write(&passwords, "ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").expect("a file can be written");
    let arguments = [
        format!("--http-address={address}"),
        format!("--upstream=http://{application}"),
        format!("--htpasswd-file={}", passwords.display()),
        "--display-htpasswd-form=true".to_owned(),
        "--provider=github".to_owned(),
        "--client-id=none".to_owned(),
        "--client-secret=none".to_owned(),
        "--cookie-secret=0123456789abcdef0123456789abcdef".to_owned(),
        "--cookie-secure=false".to_owned(),
        "--email-domain=*".to_owned(),
        "--request-logging=false".to_owned(),
        "--auth-logging=false".to_owned(),
        "--standard-logging=false".to_owned(),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let program = program.display().to_string();
    let process = Process::on_first_core(&program, &arguments, &[("GOMAXPROCS", "1")]);
    wait_for(address, name);
    let mut requests = Vec::with_capacity(sessions);
    for _ in 0..sessions {
        let form = "username=ada&password=secret";
        let post = format!(
            "POST /oauth2/sign_in?rd=/file HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let answer = harness::raw::exchange(address, post).await;
        let lines = answer.head.header_lines.iter();
        let cookie =
            lines.filter_map(|line| line.strip_prefix("Set-Cookie: ")).find(|line| line.starts_with("_oauth2_proxy="));
        let cookie = cookie.unwrap_or_else(|| panic!("{}: {}", answer.status, answer.text()));
        requests.push(request(&address.to_string(), cookie.split(';').next().unwrap_or_default()));
    }
    Contestant {
        name,
        authenticates: true,
        address,
        requests: requests.into(),
        process: process.id(),
        _kept: vec![Box::new(process), Box::new(folder)],
    }
}
