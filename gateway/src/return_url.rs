//! Where a person lands after signing in: on our own site, whatever the link said.

use config::{Origin, Scheme};

use crate::decide::{Readings, is_authority_of, is_under};

const MAX_BYTES: usize = 4096;

/// A path on the accepted host, outside our prefix in each of its readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnUrl(Box<str>);

impl ReturnUrl {
    /// Takes a path, or a URL of the accepted origin, of which it keeps the path. Anything else becomes `/`:
    /// a link to this gateway must not lead to another site, and not into a loop of our own endpoints.
    pub fn parse(text: &str, accepted: &Origin, prefix: &str) -> Self {
        Self::accept(text, accepted, prefix).unwrap_or_else(Self::home)
    }

    pub fn home() -> Self {
        Self("/".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn accept(text: &str, accepted: &Origin, prefix: &str) -> Option<Self> {
        // Browsers drop tabs and line ends from URLs and trim controls and spaces around them (WHATWG URL §4.1).
        if text.len() > MAX_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let local = if text.starts_with('/') { text.to_owned() } else { local_part(text, accepted)? };
        // `//host` and `/\host` name another host.
        if !local.starts_with('/') || local.starts_with("//") || local.starts_with("/\\") {
            return None;
        }
        let path = local.split(['?', '#']).next()?;
        let leads_to_us = Readings::of(path)?.all().any(|reading| is_under(prefix, reading));
        (!leads_to_us).then(|| Self(local.into_boxed_str()))
    }
}

impl From<ReturnUrl> for Box<str> {
    fn from(url: ReturnUrl) -> Self {
        url.0
    }
}

/// What follows the authority of a URL whose scheme and authority are the accepted ones, from `/` on.
fn local_part(text: &str, accepted: &Origin) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let wanted = match accepted.scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, local) = rest.split_at_checked(end)?;
    if !scheme.eq_ignore_ascii_case(wanted) || !is_authority_of(accepted, authority) {
        return None;
    }
    Some(if local.starts_with('/') { local.to_owned() } else { format!("/{local}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write;

    fn accepted() -> Origin {
        Origin { scheme: Scheme::Https, authority: "app.example.com".to_owned() }
    }

    fn parse(text: &str) -> String {
        ReturnUrl::parse(text, &accepted(), "/saml").as_str().to_owned()
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse(text), expected, "{text:?}");
    }

    #[test]
    fn keeps_paths_and_urls_of_the_accepted_host() {
        for path in [
            "/",
            "/a",
            "/a/b?c=d&e=/f//g",
            "/a#b",
            "/a;b/c%20d",
            "/?x=https://evil.example",
            "/samlx",
            "/a//b",
            "/100%25",
        ] {
            check(path, path);
            check(&format!("https://app.example.com{path}"), path);
            check(&format!("HTTPS://APP.example.com:443{path}"), path);
        }
        check("https://app.example.com", "/");
        check("https://app.example.com?x=1", "/?x=1");
        check("https://app.example.com#x", "/#x");
    }

    #[test]
    fn anything_else_becomes_the_front_page() {
        for text in [
            "",
            "a",
            "?a",
            "//app.example.com/a",
            "http://app.example.com/a",
            "https://app.example.com:8443/a",
            "https://app.example.com//evil.example",
            "https://app.example.com/\\evil.example",
            "/a b",
            "/ä",
            "/a\n",
            "/%",
            "/%00",
        ] {
            check(text, "/");
        }
        check(&format!("/{}", "a".repeat(MAX_BYTES)), "/");
        let longest = format!("/{}", "a".repeat(MAX_BYTES - 1));
        check(&longest, &longest);
    }

    #[test]
    fn does_not_lead_under_the_prefix() {
        for text in [
            "/saml",
            "/saml/",
            "/saml/logout",
            "/saml?x",
            "/saml#x",
            "/saml/../a",
            "/x/../saml/logout",
            "/x/%2e%2e/saml/logout",
            "/./saml/logout",
            "/x/..\\saml/logout",
            "/saml%2flogout",
            "/%73aml/logout",
            "/saml;x/logout",
            "/x//../../saml/logout",
            "https://app.example.com/saml/logout",
        ] {
            check(text, "/");
        }
    }

    const HOSTS: [&str; 8] = [
        "evil.example",
        "app.example.com.evil.example",
        "evil-app.example.com",
        "app.example.com@evil.example",
        "app.example.com%40evil.example",
        "[::1]",
        "1113982867",
        "evil\u{3002}example",
    ];

    const SHAPES: [&str; 56] = [
        "//H",
        "///H",
        "////H",
        "/\\H",
        "\\/H",
        "\\\\H",
        "\\H",
        "/\\/H",
        "//\\H",
        "/ /H",
        "/\t/H",
        "/\n/H",
        "/\r/H",
        "\t//H",
        " //H",
        "\n//H",
        "\u{0}//H",
        "/%09/H",
        "/%0a/H",
        "/%0d/H",
        "/%2fH",
        "/%5cH",
        "%2f%2fH",
        "//H%2f..",
        "//H\\..",
        "/.//H",
        "/..//H",
        "/./\\H",
        "/x/..//H",
        "/x/..\\\\H",
        "https:H",
        "https:/H",
        "https://H",
        "https:///H",
        "https:////H",
        "https:\\\\H",
        "https:/\\H",
        "http://H",
        "HtTpS://H",
        "ht\ttps://H",
        "https\t://H",
        "http:H",
        "ftp://H",
        "javascript:alert(1)//H",
        "data:text/html,H",
        "vbscript:H",
        "https://app.example.com@H",
        "https://app.example.com:443@H",
        "https://app.example.com\\@H",
        "https://app.example.com\\.H",
        "https://app.example.com#@H",
        "https://app.example.com?@H",
        "https://app.example.com:H",
        "https://app.example.com.H",
        "//app.example.com@H",
        "https://H/https://app.example.com/",
    ];

    const TAILS: [&str; 3] = ["", "/a", "/%2e%2e?x#y"];

    fn corpus() -> impl Iterator<Item = String> {
        SHAPES.into_iter().flat_map(|shape| {
            HOSTS
                .into_iter()
                .flat_map(move |host| TAILS.into_iter().map(move |tail| format!("{}{tail}", shape.replace('H', host))))
        })
    }

    #[track_caller]
    fn stays_here(text: &str) {
        let home = url::Url::parse("https://app.example.com/saml/resume").unwrap();
        let landed = home.join(&parse(text)).unwrap();
        assert_eq!(landed.origin(), home.origin(), "{text:?}");
        assert!(landed.username().is_empty() && landed.password().is_none(), "{text:?}");
        assert!(!is_under("/saml", landed.path()), "{text:?}");
    }

    #[test]
    fn no_string_of_the_corpus_leads_elsewhere() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/open_redirects.txt");
        let mut table =
            String::from("# what a link asks for => where it leads; UPDATE_TABLES=1 writes this file anew\n");
        for text in corpus() {
            stays_here(&text);
            writeln!(table, "{text:?} => {:?}", parse(&text)).unwrap();
        }
        if std::env::var_os("UPDATE_TABLES").is_some() {
            std::fs::write(&file, &table).unwrap();
        }
        assert!(corpus().count() > 1_000);
        assert!(
            std::fs::read_to_string(&file).unwrap_or_default() == table,
            "run with UPDATE_TABLES=1 and look at the diff"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_comes_out_stays_on_the_accepted_host(
            text in "(https?:)?[/\\\\\t ]{0,3}(app\\.example\\.com|evil)?[:@.]?([a-z/\\\\.?#@:%;\t]|%2[eEfF]|%5c|saml|\\.\\.){0,12}|\\PC{0,40}"
        ) {
            stays_here(&text);
        }

        #[test]
        fn what_comes_out_goes_in_again(text in "/([a-z/.;?#]|%20){0,20}") {
            prop_assert_eq!(parse(&parse(&text)), parse(&text));
        }
    }
}
