//! Where a person lands after signing in: on our own site, whatever the link said.

use config::Origin;

use crate::decide::{Hosts, Readings, is_under};

const MAX_BYTES: usize = 4096;

/// A place on an accepted host, outside our prefix in each of its readings: a path where one host is accepted, a whole URL
/// where there are several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnUrl(Box<str>);

impl ReturnUrl {
    /// Takes a path on `here`, or a URL of an accepted origin. Anything else becomes the front page of `here`: a link to this
    /// gateway must not lead to another site, and not into a loop of our own endpoints.
    pub fn parse(text: &str, here: &Origin, hosts: &Hosts, prefix: &str) -> Self {
        Self::accept(text, here, hosts, prefix).unwrap_or_else(|| Self::home(here, hosts))
    }

    pub fn home(here: &Origin, hosts: &Hosts) -> Self {
        Self::at(here, "/", hosts)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn at(origin: &Origin, local: &str, hosts: &Hosts) -> Self {
        if hosts.are_several() { Self(format!("{origin}{local}").into()) } else { Self(local.into()) }
    }

    fn accept(text: &str, here: &Origin, hosts: &Hosts, prefix: &str) -> Option<Self> {
        // Browsers drop tabs and line ends from URLs and trim controls and spaces around them (WHATWG URL §4.1).
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (origin, local) = if text.starts_with('/') { (here, text) } else { hosts.of_url(text)? };
        let local = if local.starts_with('/') { local.to_owned() } else { format!("/{local}") };
        // `//host` and `/\host` name another host.
        if local.len() > MAX_BYTES || local.starts_with("//") || local.starts_with("/\\") {
            return None;
        }
        let path = local.split(['?', '#']).next()?;
        let leads_to_us = Readings::of(path)?.all().any(|reading| is_under(prefix, reading));
        (!leads_to_us).then(|| Self::at(origin, &local, hosts))
    }
}

/// What stands in front of the path of a checked return URL: nothing, or an origin.
pub fn origin_of(return_url: &str) -> &str {
    let path = return_url.find("://").and_then(|scheme| {
        let authority = scheme.saturating_add("://".len());
        Some(authority.saturating_add(return_url.get(authority..)?.find('/')?))
    });
    match path {
        Some(path) if !return_url.starts_with('/') => return_url.get(..path).unwrap_or_default(),
        _ => "",
    }
}

impl From<ReturnUrl> for Box<str> {
    fn from(url: ReturnUrl) -> Self {
        url.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use config::Scheme;
    use proptest::prelude::*;
    use std::fmt::Write;

    fn hosts(others: &[&str]) -> Hosts {
        let https = |authority: &&str| Origin { scheme: Scheme::Https, authority: (*authority).to_owned() };
        let hosts = others.iter().map(https).collect();
        Hosts::from_settings(&config::Settings { hosts, ..testing::settings() })
    }

    fn parse(text: &str) -> String {
        let hosts = hosts(&[]);
        ReturnUrl::parse(text, hosts.public(), &hosts, "/saml").as_str().to_owned()
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
    fn several_hosts_are_told_apart() {
        let hosts = hosts(&["b.example.com", "app.example.com:8443"]);
        let at_b =
            |text| ReturnUrl::parse(text, hosts.named("b.example.com").unwrap(), &hosts, "/saml").as_str().to_owned();
        for (text, expected) in [
            ("/a?b#c", "https://b.example.com/a?b#c"),
            ("https://b.example.com/a", "https://b.example.com/a"),
            ("HTTPS://B.example.com:443?a", "https://b.example.com/?a"),
            ("https://app.example.com/a", "https://app.example.com/a"),
            ("https://app.example.com:8443/a", "https://app.example.com:8443/a"),
            ("https://c.example.com/a", "https://b.example.com/"),
            ("https://app.example.com/saml/logout", "https://b.example.com/"),
            ("http://app.example.com/a", "https://b.example.com/"),
            ("//app.example.com/a", "https://b.example.com/"),
            ("https://app.example.com//a", "https://b.example.com/"),
            ("", "https://b.example.com/"),
        ] {
            assert_eq!(at_b(text), expected, "{text}");
            assert_eq!(at_b(expected), expected);
        }
        let longest = format!("/{}", "a".repeat(MAX_BYTES - 1));
        assert_eq!(at_b(&at_b(&longest)), format!("https://b.example.com{longest}"));
        assert_eq!(origin_of("https://b.example.com/a?b=https://c/"), "https://b.example.com");
        assert_eq!(origin_of("/a?b=https://c/"), "");
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
        let several = hosts(&["b.example.com"]);
        let url = ReturnUrl::parse(text, several.public(), &several, "/saml");
        let landed = url::Url::parse(url.as_str()).unwrap();
        assert!(["app.example.com", "b.example.com"].contains(&landed.host_str().unwrap()), "{text:?}");
        assert_eq!((landed.scheme(), landed.port(), landed.username()), ("https", None, ""), "{text:?}");
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
            text in "(https?:)?[/\\\\\t ]{0,3}(app\\.example\\.com|b\\.example\\.com|evil)?[:@.]?([a-z/\\\\.?#@:%;\t]|%2[eEfF]|%5c|saml|\\.\\.){0,12}|\\PC{0,40}"
        ) {
            stays_here(&text);
        }

        #[test]
        fn what_comes_out_goes_in_again(text in "/([a-z/.;?#]|%20){0,20}") {
            prop_assert_eq!(parse(&parse(&text)), parse(&text));
        }
    }
}
