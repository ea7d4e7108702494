//! Our cookies: found among those of the request, written for the browser, kept from the upstream.
//!
//! Found by a hand scan: it runs on every request and costs a quarter of what splitting into cookies does.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use cookie::{Cookie, CookieBuilder, SameSite};
use memchr::memchr_iter;
use saml_core::Timestamp;
use zeroize::Zeroizing;

use super::kept_forms::FORM_SECONDS;
use super::ticket::{BrowserBinding, FormId, FormKey, FormSecret, Ticket};

/// Logins and logouts live on one host. `__Host-` makes browsers insist on Secure, Path=/ and no Domain
/// (RFC 6265bis §4.1.3.2).
pub const LOGIN_COOKIE: &str = "__Host-samlgate-login";
/// Where the browser carries a logout under way.
pub(super) const LOGOUT_COOKIE: &str = "__Host-samlgate-logout";

/// What is looked at of a header that somebody filled with them; a browser keeps four.
const MAX_FORM_COOKIES: usize = 16;

/// In the name of a form's cookie, before the form's id. Never for a domain: who sets it decides what is sent as the next who
/// signs in, and who reads it sends the form as themselves.
const FORM_PREFIX: &str = "__Host-samlgate-form-";
/// In the name of the notice that other hosts get of a kept form.
const NOTICE_MARK: &str = "-kept-";

/// Every cookie whose name begins like this is ours.
const OWN_PREFIXES: [&[u8]; 2] = [b"__host-samlgate", b"__secure-samlgate"];

/// Which hosts get the cookies of sessions and of kept forms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CookieScope {
    /// The one that sets them, on each of its ports.
    #[default]
    Host,
    /// Every host of the domain: `session.cookie_domain`. `__Secure-` makes browsers insist on Secure, and leaves Domain
    /// free (RFC 6265bis §4.1.3.1).
    Domain(Arc<str>),
}

/// The three answers of a credential. `Bad` never falls through to something else.
pub enum Credential<T> {
    None,
    Good(T),
    /// Malformed, or offered twice: then one of the two is not from us.
    Bad,
}

impl<T> Credential<T> {
    pub fn good(self) -> Option<T> {
        match self {
            Self::Good(secret) => Some(secret),
            Self::None | Self::Bad => None,
        }
    }
}

pub struct OwnCookies {
    pub session: Credential<Ticket>,
    pub login: Credential<BrowserBinding>,
}

impl CookieScope {
    /// Of the cookie that carries the ticket.
    pub fn session_name(&self) -> &'static str {
        match self {
            Self::Host => "__Host-samlgate",
            Self::Domain(_) => "__Secure-samlgate",
        }
    }

    /// Of a piece of the session's record, where the browser carries that.
    pub(super) fn chunk_name(&self, number: usize) -> String {
        format!("{}-{number}", self.session_name())
    }

    pub(super) fn is_chunk(&self, name: &str) -> bool {
        name.strip_prefix(self.session_name())
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// Reads every Cookie header: HTTP/2 clients split cookies over several (RFC 9113 §8.2.3).
    pub fn read_own<'a>(&self, headers: impl IntoIterator<Item = &'a [u8]>) -> OwnCookies {
        let session_name = self.session_name().as_bytes();
        let (mut session, mut login) = (Offered::Never, Offered::Never);
        for pair in headers.into_iter().flat_map(pairs) {
            let (name, value) = name_and_value(trim_ows(pair));
            if name == session_name {
                session.offer(value);
            } else if name == LOGIN_COOKIE.as_bytes() {
                login.offer(value);
            }
        }
        OwnCookies { session: session.read(Ticket::parse), login: login.read(BrowserBinding::parse) }
    }

    /// `max_age` is the session's remaining life.
    pub fn session_cookie(&self, ticket: &Ticket, max_age: Duration) -> String {
        let seconds = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
        self.lax(self.session_name(), &ticket.to_cookie_value(), seconds)
    }

    /// One of the host alone, where all of the domain share one, is not ours, and hides ours.
    pub fn clear_session_cookies(&self) -> Vec<String> {
        let ours = self.lax(self.session_name(), "", 0);
        match self {
            Self::Host => vec![ours],
            Self::Domain(_) => vec![ours, self.clear_foreign_session_cookie()],
        }
    }

    fn clear_foreign_session_cookie(&self) -> String {
        Self::Host.lax(self.session_name(), "", 0)
    }

    /// What frees a browser that offers two session cookies, or one that is none, of the one that this host can clear.
    pub fn clear_bad_session_cookie(&self) -> Option<String> {
        matches!(self, Self::Domain(_)).then(|| self.clear_foreign_session_cookie())
    }

    /// It binds the form to the browser: whoever sends the form must have it. `SameSite=Lax`: the way from the IdP to the
    /// page that replays the form ends in redirects that began at another site. Beside it, where hosts share the session, what
    /// lets the others show that the form is kept, and forget it at a sign-out, and no more.
    pub fn form_cookies(&self, secret: &FormSecret, now: Timestamp) -> Vec<String> {
        let value = Zeroizing::new(format!("{}.{}", secret.to_text().as_str(), now.unix_seconds()));
        let key = secret.key();
        let secret = Self::Host.lax(&form_name(key.id()), &value, FORM_SECONDS);
        match self {
            Self::Host => vec![secret],
            Self::Domain(_) => vec![secret, self.lax(&self.notice_name(key.id()), &key.to_text(), FORM_SECONDS)],
        }
    }

    pub fn clear_form_cookies(&self, id: FormId) -> Vec<String> {
        let secret = Self::Host.lax(&form_name(id), "", 0);
        match self {
            Self::Host => vec![secret],
            Self::Domain(_) => vec![secret, self.lax(&self.notice_name(id), "", 0)],
        }
    }

    fn notice_name(&self, id: FormId) -> String {
        format!("{}{NOTICE_MARK}{id}", self.session_name())
    }

    /// Every form that this browser has kept, at whatever host.
    pub fn noticed_forms<'a>(&self, headers: impl IntoIterator<Item = &'a [u8]>) -> Vec<FormKey> {
        let headers: Vec<&[u8]> = headers.into_iter().collect();
        let own = Self::own_forms(headers.iter().copied());
        let mut keys: Vec<_> = own.iter().map(|cookie| cookie.secret.key()).collect();
        let pairs = headers.into_iter().flat_map(pairs).map(|pair| name_and_value(trim_ows(pair)));
        let noticed = pairs.filter_map(|(name, value)| {
            let id = name.strip_prefix(self.session_name().as_bytes())?.strip_prefix(NOTICE_MARK.as_bytes())?;
            FormKey::parse(value).filter(|key| key.id().to_string().as_bytes() == id)
        });
        keys.extend(noticed.take(MAX_FORM_COOKIES));
        keys
    }

    /// Those kept at this host, the newest first. Only those whose name is of their secret.
    pub fn own_forms<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Vec<FormCookie> {
        let pairs = headers.into_iter().flat_map(pairs).map(|pair| name_and_value(trim_ows(pair)));
        let named = pairs.filter_map(|(name, value)| Some((name.strip_prefix(FORM_PREFIX.as_bytes())?, value)));
        let read = |(id, value): (&[u8], &[u8])| {
            let (secret, set) = std::str::from_utf8(value).ok()?.split_once('.')?;
            let secret = FormSecret::parse(secret.as_bytes())?;
            let set = Timestamp::from_unix(set.parse().ok()?, 0);
            (secret.key().id().to_string().as_bytes() == id).then_some(FormCookie { secret, set })
        };
        let mut cookies: Vec<_> = named.filter_map(read).take(MAX_FORM_COOKIES).collect();
        cookies.sort_by_key(|cookie| Reverse(cookie.set));
        cookies
    }

    /// A cookie of this scope with `SameSite=Lax`.
    pub(super) fn lax(&self, name: &str, value: &str, max_age_seconds: i64) -> String {
        let cookie = ours(name, value, SameSite::Lax, Some(max_age_seconds));
        match self {
            Self::Host => cookie,
            Self::Domain(domain) => cookie.domain(&**domain),
        }
        .build()
        .to_string()
    }
}

fn form_name(id: FormId) -> String {
    format!("{FORM_PREFIX}{id}")
}

/// The cookie of a kept form: its secret, and when it was set.
pub struct FormCookie {
    pub secret: FormSecret,
    pub set: Timestamp,
}

#[derive(Clone, Copy)]
enum Offered<'a> {
    Never,
    Once(&'a [u8]),
    Twice,
}

impl<'a> Offered<'a> {
    fn offer(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Never => Self::Once(value),
            Self::Once(_) | Self::Twice => Self::Twice,
        };
    }

    fn read<T>(self, parse: impl FnOnce(&[u8]) -> Option<T>) -> Credential<T> {
        match self {
            Self::Never => Credential::None,
            Self::Once(value) => parse(value).map_or(Credential::Bad, Credential::Good),
            Self::Twice => Credential::Bad,
        }
    }
}

/// Every cookie of ours, name and value as they stand, in the order of the request.
pub(super) fn own_pairs<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let named = headers.into_iter().flat_map(pairs).map(|pair| name_and_value(trim_ows(pair)));
    let own = named.filter(|(name, _)| is_own_name(name));
    own.filter_map(|(name, value)| Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?)))
}

/// What is left of a Cookie header for the upstream.
#[derive(Debug, PartialEq, Eq)]
pub enum Stripped {
    /// Nothing of ours was in it.
    Unchanged,
    /// The other cookies, byte for byte.
    Rest(Vec<u8>),
    /// There were no others: the header goes.
    Nothing,
}

/// Takes our cookies out, also where their name is spelled so that only a careless parser reads it as ours.
pub fn strip_own(header: &[u8]) -> Stripped {
    let own: usize = pairs(header).filter(|pair| is_own_pair(pair)).map(<[u8]>::len).sum();
    if own == 0 {
        return Stripped::Unchanged;
    }
    // No more than is written, in the usual case: as it becomes a header value it is copied where it has room to spare.
    let mut rest = Vec::with_capacity(header.len().saturating_sub(own + ";".len()));
    for pair in pairs(header).filter(|pair| !is_own_pair(pair)) {
        if !rest.is_empty() {
            rest.push(b';');
        }
        // The space after a removed first cookie would otherwise lead the header.
        rest.extend_from_slice(if rest.is_empty() { pair.trim_ascii_start() } else { pair });
    }
    if rest.trim_ascii().is_empty() { Stripped::Nothing } else { Stripped::Rest(rest) }
}

/// Whether an upstream tries to set a cookie of ours.
pub fn is_own_set_cookie(value: &[u8]) -> bool {
    pairs(value).next().is_some_and(is_own_pair)
}

/// `SameSite=None`, for the response comes as a POST from the IdP's site. It lasts until the browser closes:
/// it is shared by all tabs and outlives each single login.
pub fn login_cookie(binding: &BrowserBinding) -> String {
    ours(LOGIN_COOKIE, &binding.to_cookie_value(), SameSite::None, None).build().to_string()
}

pub fn clear_login_cookie() -> String {
    clear(LOGIN_COOKIE)
}

/// A cookie that comes back across sites, to the host that sets it.
pub(super) fn across_sites(name: &str, value: &str, max_age_seconds: i64) -> String {
    ours(name, value, SameSite::None, Some(max_age_seconds)).build().to_string()
}

/// Takes back a cookie that came back across sites.
pub(super) fn clear(name: &str) -> String {
    across_sites(name, "", 0)
}

fn ours<'c>(name: &'c str, value: &'c str, same_site: SameSite, max_age_seconds: Option<i64>) -> CookieBuilder<'c> {
    let cookie = Cookie::build((name, value)).secure(true).http_only(true).same_site(same_site).path("/");
    match max_age_seconds {
        Some(seconds) => cookie.max_age(cookie::time::Duration::seconds(seconds)),
        None => cookie,
    }
}

fn pairs(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    memchr_iter(b';', header).chain([header.len()]).filter_map(move |end| {
        let pair = header.get(start..end);
        start = end.saturating_add(1);
        pair
    })
}

/// A pair without `=` is all name.
fn name_and_value(pair: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'=', pair) {
        Some(at) => (pair.get(..at).unwrap_or_default(), pair.get(at.saturating_add(1)..).unwrap_or_default()),
        None => (pair, &[]),
    }
}

fn trim_ows(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Upstreams trim names by their own idea of white space, Unicode's among them; whatever is not printable
/// ASCII, and a quote, is taken for white space here. A nameless cookie `=name=value` goes out of old browsers as
/// `name=value`, so an equals sign in front is passed over too.
fn is_own_pair(pair: &[u8]) -> bool {
    let start = pair.iter().position(|byte| byte.is_ascii_graphic() && *byte != b'=').unwrap_or(pair.len());
    let (name, _) = name_and_value(pair.get(start..).unwrap_or_default());
    let visible = |byte: &u8| byte.is_ascii_graphic() && *byte != b'"';
    let name = name.iter().position(visible).and_then(|start| name.get(start..)).unwrap_or_default();
    is_own_name(name)
}

fn is_own_name(name: &[u8]) -> bool {
    OWN_PREFIXES
        .iter()
        .any(|prefix| name.get(..prefix.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract::ticket;
    use aws_lc_rs::rand::SystemRandom;
    use proptest::prelude::*;

    fn kind<T>(credential: &Credential<T>) -> &'static str {
        match credential {
            Credential::None => "none",
            Credential::Good(_) => "good",
            Credential::Bad => "bad",
        }
    }

    #[track_caller]
    fn check_read(headers: &[&str], session: &str, login: &str) {
        let own = CookieScope::Host.read_own(headers.iter().map(|header| header.as_bytes()));
        assert_eq!((kind(&own.session), kind(&own.login)), (session, login), "{headers:?}");
    }

    #[test]
    fn finds_our_cookies_wherever_they_stand() {
        let t = "A".repeat(43);
        check_read(&[], "none", "none");
        check_read(&["a=b; c=d"], "none", "none");
        check_read(&[&format!("__Host-samlgate={t}")], "good", "none");
        check_read(&[&format!("a=b;__Host-samlgate={t} ;\tc=d")], "good", "none");
        check_read(&["a=b", &format!("__Host-samlgate={t}"), &format!("__Host-samlgate-login={t}")], "good", "good");
    }

    #[test]
    fn takes_only_the_exact_name() {
        let t = "A".repeat(43);
        for name in ["__host-samlgate", "__Host-samlgate2", "__Host-samlgat", "samlgate", "__Secure-samlgate"] {
            check_read(&[&format!("{name}={t}")], "none", "none");
        }
        check_read(&[&format!("__Host-samlgate ={t}")], "none", "none");
        check_read(&[&format!("a=\"; __Host-samlgate={t}\"")], "bad", "none");
    }

    #[test]
    fn a_cookie_that_appears_twice_or_is_malformed_is_none() {
        let t = "A".repeat(43);
        check_read(&[&format!("__Host-samlgate={t}; __Host-samlgate={t}")], "bad", "none");
        check_read(&[&format!("__Host-samlgate={t}"), &format!("__Host-samlgate={t}")], "bad", "none");
        check_read(&[&format!("__Host-samlgate={t}; __Host-samlgate")], "bad", "none");
        check_read(&["__Host-samlgate"], "bad", "none");
        check_read(&["__Host-samlgate="], "bad", "none");
        check_read(&[&format!("__Host-samlgate=\"{t}\"")], "bad", "none");
        check_read(&[&format!("__Host-samlgate={t}="), "__Host-samlgate-login=x"], "bad", "bad");
    }

    #[test]
    fn ticket_comes_back_from_the_browser() {
        let ticket = ticket();
        let set = CookieScope::Host.session_cookie(&ticket, Duration::from_secs(60));
        let pair = set.split(';').next().unwrap();
        let own = CookieScope::Host.read_own([pair.as_bytes()]);
        assert!(own.session.good().unwrap().key() == ticket.key());
    }

    #[test]
    fn cookies_carry_the_attributes_that_the_roads_need() {
        let session = CookieScope::Host.session_cookie(&ticket(), Duration::from_secs(28_800));
        assert!(session.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=28800"), "{session}");
        let binding = BrowserBinding::parse("A".repeat(43).as_bytes()).unwrap();
        assert_eq!(
            login_cookie(&binding),
            format!("__Host-samlgate-login={}; HttpOnly; SameSite=None; Secure; Path=/", "A".repeat(43))
        );
        assert_eq!(
            CookieScope::Host.clear_session_cookies(),
            ["__Host-samlgate=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"]
        );
        assert_eq!(CookieScope::Host.clear_bad_session_cookie(), None);
        assert_eq!(clear_login_cookie(), "__Host-samlgate-login=; HttpOnly; SameSite=None; Secure; Path=/; Max-Age=0");
    }

    #[test]
    fn hosts_of_a_domain_share_the_session_and_not_the_login() {
        let scope = CookieScope::Domain("example.com".into());
        let session = scope.session_cookie(&ticket(), Duration::from_secs(60));
        let attributes = "; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=example.com; Max-Age=";
        assert!(
            session.starts_with("__Secure-samlgate=") && session.ends_with(&format!("{attributes}60")),
            "{session}"
        );
        let foreign = "__Secure-samlgate=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0";
        assert_eq!(scope.clear_session_cookies(), [&format!("__Secure-samlgate={attributes}0"), foreign]);
        assert_eq!(scope.clear_bad_session_cookie().as_deref(), Some(foreign));
        let secret = FormSecret::generate(&SystemRandom::new()).unwrap();
        let [form, notice] = &*scope.form_cookies(&secret, Timestamp::from_unix(5, 0)) else { panic!("two cookies") };
        assert!(form.starts_with("__Host-samlgate-form-") && !form.contains("Domain"), "{form}");
        assert!(
            notice.starts_with("__Secure-samlgate-kept-") && notice.ends_with(&format!("{attributes}900")),
            "{notice}"
        );
        assert!(!notice.contains(secret.to_text().as_str()), "it opens nothing");
        let pair = |line: &str| line.split(';').next().unwrap().to_owned();
        let noticed = |line: &str| scope.noticed_forms([pair(line).as_bytes()]);
        assert_eq!((noticed(form), noticed(notice)), (vec![secret.key()], vec![secret.key()]));
        assert!(noticed(&notice.replace("-kept-", "-kept-0")).is_empty());
        assert!(CookieScope::own_forms([pair(notice).as_bytes()]).is_empty());
        let cleared = scope.clear_form_cookies(secret.key().id());
        assert!(cleared.len() == 2 && cleared.iter().all(|line| line.ends_with("Max-Age=0")), "{cleared:?}");
        let t = "A".repeat(43);
        let header = format!("__Host-samlgate={t}; __Host-samlgate-login={t}");
        let own = scope.read_own([header.as_bytes()]);
        assert_eq!((kind(&own.session), kind(&own.login)), ("none", "good"));
        let header = format!("__Secure-samlgate={t}; __Secure-samlgate-login={t}");
        let own = scope.read_own([header.as_bytes()]);
        assert_eq!((kind(&own.session), kind(&own.login)), ("good", "none"));
        assert!(scope.is_chunk(&scope.chunk_name(2)) && scope.chunk_name(2) == "__Secure-samlgate-2");
        for other in ["__Host-samlgate-2", "__Secure-samlgate-", "__Secure-samlgate2", "__Secure-samlgate-form-2"] {
            assert!(!scope.is_chunk(other), "{other}");
        }
    }

    #[test]
    fn form_cookies_come_back_newest_first_and_under_their_own_names() {
        let secrets: Vec<_> = (0..20).map(|_| FormSecret::generate(&SystemRandom::new()).unwrap()).collect();
        let set = |secret: &FormSecret, time| {
            let lines = CookieScope::Host.form_cookies(secret, Timestamp::from_unix(time, 0));
            lines[0].split(';').next().unwrap().to_owned()
        };
        let read = |header: &str| -> Vec<_> {
            CookieScope::own_forms([header.as_bytes()])
                .iter()
                .map(|cookie| (cookie.secret.key(), cookie.set.unix_seconds()))
                .collect()
        };
        let [one, two, three] = [&secrets[0], &secrets[1], &secrets[2]];
        let header = format!("a=b; {}; {};{}; __Host-samlgate-form-x=y", set(one, 5), set(two, 9), set(three, 7));
        assert_eq!(read(&header), [(two.key(), 9), (three.key(), 7), (one.key(), 5)]);
        assert_eq!(read(&set(one, 5).replace(&one.key().id().to_string(), &two.key().id().to_string())), []);
        assert_eq!(read(&set(one, 5).replace(".5", "")), []);
        let all: Vec<_> = secrets.iter().map(|secret| set(secret, 1)).collect();
        assert_eq!(read(&all.join("; ")).len(), MAX_FORM_COOKIES);
        let [written] = &*CookieScope::Host.form_cookies(one, Timestamp::from_unix(5, 0)) else { panic!("one cookie") };
        assert!(written.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=900"), "{written}");
    }

    #[track_caller]
    fn check_strip(header: &str, expected: Option<&str>) {
        let expected = match expected {
            None => Stripped::Nothing,
            Some(rest) if rest == header => Stripped::Unchanged,
            Some(rest) => Stripped::Rest(rest.as_bytes().to_vec()),
        };
        assert_eq!(strip_own(header.as_bytes()), expected, "{header:?}");
    }

    #[test]
    fn upstream_gets_the_other_cookies_byte_for_byte() {
        check_strip("a=b; c=d", Some("a=b; c=d"));
        check_strip(" a = \"b;c\" ;;x", Some(" a = \"b;c\" ;;x"));
        check_strip("__Host-samlgate=x", None);
        check_strip("__Host-samlgate=x; __Host-samlgate-login=y", None);
        check_strip("__Host-samlgate=x; a=b; c=\"d\"", Some("a=b; c=\"d\""));
        check_strip("a=b; __Host-samlgate=x; c=d", Some("a=b; c=d"));
        check_strip("a=b;__Host-samlgate-login-0123=x;c=d", Some("a=b;c=d"));
        check_strip("a=b; __Host-samlgate=x", Some("a=b"));
    }

    #[test]
    fn odd_spellings_of_our_names_do_not_reach_the_upstream() {
        for name in [
            "__HOST-SAMLGATE",
            "__Secure-samlgate",
            "__secure-SamlGate-login",
            "\t__Host-samlgate\t",
            "\u{a0}__Host-samlgate",
            "\u{2003}__Host-samlgate",
            "\u{feff}__Host-samlgate",
            "\u{b}__Host-samlgate",
            "\"__Host-samlgate",
            "__Host-samlgate ",
        ] {
            check_strip(&format!("a=b; {name}=x; c=d"), Some("a=b; c=d"));
            check_strip(&format!("a=b; {name}; c=d"), Some("a=b; c=d"));
        }
    }

    #[test]
    fn an_upstream_cannot_set_our_cookies() {
        for own in [
            "__Host-samlgate=x; Path=/",
            " __host-SAMLGATE-login=x",
            "__Secure-samlgate",
            "\u{2000}__Host-samlgate=x",
            "=__Host-samlgate=x",
            " = =__Host-samlgate-login=x",
        ] {
            assert!(is_own_set_cookie(own.as_bytes()), "{own}");
        }
        for other in ["sid=__Host-samlgate", "a=b; __Host-samlgate=x", "", "__Host-app=x"] {
            assert!(!is_own_set_cookie(other.as_bytes()), "{other}");
        }
    }

    proptest! {
        #[test]
        fn nothing_of_ours_survives_stripping(
            parts in prop::collection::vec("[ \t\"]{0,2}(__Host-samlgate|__SECURE-samlgate-login|a|__Host-app|)[ ]?(=[a-z=\" ]{0,6})?", 0..8)
        ) {
            let header = parts.join(";");
            let rest = match strip_own(header.as_bytes()) {
                Stripped::Unchanged => header.clone().into_bytes(),
                Stripped::Rest(rest) => rest,
                Stripped::Nothing => Vec::new(),
            };
            prop_assert!(!String::from_utf8_lossy(&rest).to_lowercase().contains("samlgate"));
            let kept = |text: &[u8]| pairs(text).filter(|pair| !is_own_pair(pair)).map(|pair| pair.trim_ascii().to_vec()).filter(|pair| !pair.is_empty()).collect::<Vec<_>>();
            prop_assert_eq!(kept(&rest), kept(header.as_bytes()));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let own = CookieScope::Host.read_own([bytes.as_slice()]);
            prop_assert!(own.session.good().is_none());
            let _ = strip_own(&bytes);
        }
    }
}
