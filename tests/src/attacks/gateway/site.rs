//! The gateway that is attacked, with a route of each kind, and who may do what there.

use serde_json::json;

use super::wire::Draft;
use crate::browser::Browser;
use crate::gateway::Program;
use crate::world::World;

const SESSION: &str = "__Host-samlgate";
const TOKEN_NAME: &str = "ci";

pub(super) struct Site {
    pub(super) world: World,
    /// Of ada, who is an admin.
    pub(super) ada: String,
    /// Of ben, who is none.
    pub(super) ben: String,
    /// Of ada, at a session that she has ended.
    pub(super) ended: String,
    token: String,
}

/// A way onto a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Public,
    PublicSignedIn,
    SignedIn,
    Group,
    Api,
    Machine,
    Preflight,
    Rewritten,
    WebSocket,
}

impl Kind {
    pub(super) const ALL: [Self; 9] = [
        Self::Public,
        Self::PublicSignedIn,
        Self::SignedIn,
        Self::Group,
        Self::Api,
        Self::Machine,
        Self::Preflight,
        Self::Rewritten,
        Self::WebSocket,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::PublicSignedIn => "public, signed in",
            Self::SignedIn => "signed in",
            Self::Group => "by group",
            Self::Api => "api",
            Self::Machine => "machine",
            Self::Preflight => "preflight",
            Self::Rewritten => "rewritten path",
            Self::WebSocket => "WebSocket",
        }
    }

    /// Whom the application must take the request for.
    pub(super) fn user(self) -> Option<&'static str> {
        match self {
            Self::Public | Self::PublicSignedIn | Self::Preflight => None,
            Self::Machine => Some("machine:ci"),
            Self::SignedIn | Self::Group | Self::Api | Self::Rewritten | Self::WebSocket => {
                Some("5f1e0000000000000000ada1")
            }
        }
    }
}

impl Site {
    pub(super) async fn start(program: Program) -> Self {
        let (token, tokens) = add_token(&program);
        let route = |path: &str, access: serde_json::Value, more: serde_json::Value| {
            let mut route =
                json!({ "path_prefix": path, "access": access, "upstream": "app", "identity_jwt": access != "public" });
            route.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
            route
        };
        let admins = json!({ "groups": ["admins"] });
        let routes = json!([
            route("/public", json!("public"), json!({})),
            route("/admin", admins.clone(), json!({})),
            route("/read", json!("signed_in"), json!({ "methods": ["GET", "HEAD"] })),
            route("/read", admins, json!({})),
            route("/api", json!("signed_in"), json!({ "api": true })),
            route("/hooks", json!("signed_in"), json!({ "tokens_file": "tokens.yaml" })),
            route("/cors", json!("signed_in"), json!({ "preflight": "forward" })),
            route("/strip", json!("signed_in"), json!({ "rewrite": { "strip_prefix": "/strip" } })),
            route("/", json!("signed_in"), json!({})),
        ]);
        let mut world = World::start_with(program, |gateway| {
            gateway
                .file("tokens.yaml", &tokens)
                .set("routes", routes)
                .set("identity_headers", json!({ "set": { "X-WebAuth-User": "email" } }))
        })
        .await;
        let mut cookies = Vec::new();
        for username in ["ada", "ben", "ada"] {
            world.browser = Browser::new();
            world.sign_in(username, "/x").await;
            let cookie = world.browser.cookie("localhost", SESSION).expect("somebody is signed in");
            cookies.push(format!("{SESSION}={}", cookie.value));
        }
        let [ada, ben, ended] = cookies.try_into().expect("three");
        let site = Self { world, ada, ben, ended, token };
        let sign_out = site.draft("POST", "/saml/logout").line(&format!("Cookie: {}", site.ended));
        let sign_out = sign_out.line(&format!("Origin: {}", site.world.gateway.public_url())).line("Content-Length: 0");
        let answer = crate::raw::exchange(site.world.gateway.address(), sign_out.bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        site.world.upstream.take_requests();
        site
    }

    /// A request with nothing but its Host.
    pub(super) fn draft(&self, method: &str, target: &str) -> Draft {
        Draft::new(method, target).line(&format!("Host: {}", self.world.gateway.authority()))
    }

    pub(super) fn cookie(&self) -> String {
        format!("Cookie: a=1; {}; b=2", self.ada)
    }

    /// A good request of that kind.
    pub(super) fn good(&self, kind: Kind) -> Draft {
        let (cookie, origin) = (self.cookie(), format!("Origin: {}", self.world.gateway.public_url()));
        match kind {
            Kind::Public => self.draft("GET", "/public/x"),
            Kind::PublicSignedIn => self.draft("GET", "/public/x").line(&cookie),
            Kind::SignedIn => self.draft("GET", "/x").line(&cookie),
            Kind::Group => self.draft("GET", "/admin/x").line(&cookie),
            Kind::Api => self.draft("GET", "/api/x").line(&cookie),
            Kind::Machine => self.draft("GET", "/hooks/x").line(&format!("Authorization: Bearer {}", self.token)),
            Kind::Preflight => self
                .draft("OPTIONS", "/cors/x")
                .line("Origin: https://other.example")
                .line("Access-Control-Request-Method: PUT"),
            Kind::Rewritten => self.draft("GET", "/strip/x").line(&cookie),
            Kind::WebSocket => self
                .draft("GET", "/ws")
                .line(&cookie)
                .line(&origin)
                .line("Connection: Upgrade")
                .line("Upgrade: websocket")
                .line("Sec-WebSocket-Version: 13")
                .line("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        }
    }
}

/// The token, and the file that holds its hash.
fn add_token(program: &Program) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens.yaml");
    let path = file.to_str().expect("a plain path");
    let arguments = ["tokens", "add", "--file", path, "--name", TOKEN_NAME, "--group", "engineers"];
    let output = program.command(arguments).as_std_mut().output().expect("samlgate runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let token = String::from_utf8(output.stdout).expect("text").trim().to_owned();
    (token, std::fs::read_to_string(file).expect("the file"))
}
