//! Machines come with a token in place of a session.

use harness::raw::{self, RawResponse};
use harness::world::World;
use serde_json::json;

use crate::support::{samlgate, session_cookie};

struct Site {
    world: World,
    token: String,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.yaml");
        let token = add(&file, &["--name", "ci", "--group", "engineers"]);
        let tokens = std::fs::read_to_string(file).unwrap();
        let route = |path: &str, access: serde_json::Value| {
            json!({
                "path_prefix": path, "access": access, "upstream": "app", "tokens_file": "tokens.yaml",
                "identity_jwt": true,
            })
        };
        let routes = json!([
            { "path_prefix": "/public", "access": "public", "upstream": "app" },
            route("/hooks", json!("signed_in")),
            route("/admin", json!({ "groups": ["admins"] })),
            { "path_prefix": "/", "access": "signed_in", "upstream": "app" },
        ]);
        let world =
            World::start_with(samlgate(), |gateway| gateway.file("tokens.yaml", &tokens).set("routes", routes)).await;
        Self { world, token }
    }

    async fn get(&self, path: &str, token: &str, more: &[&str]) -> RawResponse {
        let authorization = format!("Authorization: Bearer {token}");
        let headers: Vec<&str> = [authorization.as_str()].into_iter().chain(more.iter().copied()).collect();
        raw::get(self.world.gateway.address(), self.world.gateway.authority(), path, &headers).await
    }
}

fn add(file: &std::path::Path, more: &[&str]) -> String {
    let file = file.to_str().unwrap();
    let arguments: Vec<&str> = ["tokens", "add", "--file", file].into_iter().chain(more.iter().copied()).collect();
    let output = samlgate().command(&arguments).as_std_mut().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_machine_goes_on_under_its_own_name_and_its_token_stays_here() {
    let site = Site::start().await;
    let answer =
        site.get("/hooks/x", &site.token, &["X-Forwarded-User: eve", "X-Forwarded-Email: eve@a.example"]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let request = site.world.upstream.last_request();
    assert_eq!(request.one("X-Forwarded-User"), Some("machine:ci"));
    assert_eq!(request.one("X-Forwarded-Groups"), Some("engineers"));
    assert_eq!(request.one("X-Forwarded-Email"), None);
    assert!(request.one("X-Samlgate-Jwt-Assertion").is_some_and(|jwt| jwt.matches('.').count() == 2));
    assert!(!request.header_lines.iter().any(|line| line.contains(&site.token)), "{:?}", request.header_lines);
    let line = site.world.gateway.logged("machine.name").await;
    assert!(line.contains("\"ci\"") && !line.contains(&site.token), "{line}");
    site.world.gateway.metric_reaches("samlgate_auth_decisions_total", &[("reason", "machine")], 1.0).await;
}

#[tokio::test]
async fn a_token_counts_on_its_routes_alone() {
    let site = Site::start().await;
    site.world.sign_in("ada", "/").await;
    let cookie = format!("Cookie: {}", session_cookie(&site.world.browser));
    for (path, token, status, code) in [
        ("/admin/x", site.token.as_str(), 403, "not_in_allowed_group"),
        ("/other", &site.token, 401, "token_unknown"),
        ("/hooks/x", "samlgate_AAAA", 401, "token_unknown"),
        ("/hooks/x", &format!("{}x", site.token), 401, "token_unknown"),
    ] {
        // A session beside it lends it nothing.
        for more in [&[][..], &[&*cookie]] {
            let before = site.world.upstream.requests().len();
            let answer = site.get(path, token, more).await;
            assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{path}");
            if status == 401 {
                assert_eq!(answer.header("WWW-Authenticate").as_deref(), Some("Bearer error=\"invalid_token\""));
            }
            assert_eq!(site.world.upstream.requests().len(), before);
        }
    }
    let twice = format!("Authorization: Bearer {}", site.token);
    assert_eq!(site.get("/hooks/x", &site.token, &[&twice]).await.json()["code"], "token_unknown");
    // Nobody is told of it on a public route, and its application does not learn it either.
    assert_eq!(site.get("/public/x", &site.token, &[]).await.status, 200);
    let request = site.world.upstream.last_request();
    assert_eq!((request.one("Authorization"), request.one("X-Forwarded-User")), (None, None));
}

#[tokio::test]
async fn tokens_of_applications_pass() {
    let site = Site::start().await;
    site.world.sign_in("ada", "/").await;
    let cookie = format!("Cookie: {}", session_cookie(&site.world.browser));
    assert_eq!(site.get("/hooks/x", "glsa_of-the-application", &[&cookie]).await.status, 200);
    let request = site.world.upstream.last_request();
    assert_eq!(request.one("Authorization"), Some("Bearer glsa_of-the-application"));
    assert_eq!(request.one("X-Forwarded-Email"), Some("ada@demo.example"));
    let answer = site.get("/hooks/x", "glsa_of-the-application", &[]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("login_required")));
}

#[tokio::test]
async fn a_token_that_ended_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.yaml");
    let token = add(&file, &["--name", "ci"]);
    let text = std::fs::read_to_string(file).unwrap();
    let year = time::OffsetDateTime::now_utc().year();
    let tokens = text.replace(&format!("\"{year}-"), "\"2020-").replace(&format!("\"{}-", year + 1), "\"2020-");
    let route = json!({ "path_prefix": "/", "access": "signed_in", "upstream": "app", "tokens_file": "tokens.yaml" });
    let world =
        World::start_with(samlgate(), |gateway| gateway.file("tokens.yaml", &tokens).set("routes", json!([route])))
            .await;
    let site = Site { world, token };
    let answer = site.get("/", &site.token, &[]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("token_expired")));
    site.world.gateway.logged("token_expired").await;
    assert!(site.world.upstream.requests().is_empty());
}
