//! Why a browser goes round without getting a session. Pure: told from what it brings back to a page of ours.

macro_rules! causes {
    ($( $(#[$doc:meta])* $variant:ident = $code:literal, $advice:literal, $cure:literal; )*) => {
        /// What a login loop, or a login refused for its time, most likely comes from.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum LoopCause {
            $( $(#[$doc])* $variant, )*
        }

        impl LoopCause {
            /// The stable name: in logs, on the page and in `docs/refusals.md`.
            pub fn code(self) -> &'static str {
                match self { $( Self::$variant => $code, )* }
            }

            /// What the user is told.
            pub fn advice(self) -> &'static str {
                match self { $( Self::$variant => $advice, )* }
            }

            /// What the administrator can do about it.
            pub fn cure(self) -> &'static str {
                match self { $( Self::$variant => $cure, )* }
            }

            /// Each code with its cure.
            pub fn catalogue() -> &'static [(&'static str, &'static str)] {
                &[$(($code, $cure)),*]
            }
        }
    };
}

causes! {
    /// A cookie of ours was set and is not sent, by whatever page.
    CookieNotReturned = "cookie_not_returned",
        "Your browser does not send back the cookies of this site. Allow cookies for it, then try again. If they are allowed, tell your administrator the codes below.",
        "see that the browser may keep cookies for this site, and that no proxy in front removes Set-Cookie or Cookie, or changes the names, Secure, Path or Domain of our cookies";
    /// A cookie of ours is sent when a page of ours asks, and is not when the IdP's does.
    SameSite = "same_site",
        "The cookies of this site were changed on their way to your browser, so that it does not send them after a sign-in. Tell your administrator the codes below.",
        "let no proxy in front rewrite SameSite: `__Host-samlgate-login` needs None, for the IdP's page posts to us, and `__Host-samlgate` needs Lax";
    /// The login was begun under one host, and its response came to another.
    WrongHost = "wrong_host",
        "The sign-in begins at one address and ends at another. Open the application at the address that your administrator gave you.",
        "let users open the host of `public_url` and no other: let the proxy in front keep the client's Host, and redirect from others to it, never away from it";
    /// With hosts that share the session: a second cookie of its name hides it from one of them.
    CookieTwice = "cookie_twice",
        "Your browser holds a cookie of this site twice, or one that is none of ours. Delete the cookies of this site and of its sister addresses, then try again.",
        "clear the cookies `__Secure-samlgate` of every host and domain in that browser: another host of `session.cookie_domain` has set one, or the domain was changed";
    Clock = "clock",
        "A clock is wrong. Wait a moment and try again, or tell your administrator the codes below.",
        "compare the clocks of this machine, of its replicas and of the IdP: let each follow NTP";
    /// The cookies come back, and nothing is known here under them.
    NotRemembered = "not_remembered",
        "What was begun a moment ago is not known here any more. Try again; if that does not help, tell your administrator the codes below.",
        "replicas must share a `session.store`, its `key_prefix` and `keys_dir`; with store `memory` run one process, and see that it does not restart";
    /// Nothing but the last reason is known.
    Unknown = "unknown",
        "It was tried several times in a row without success. Try again; if that does not help, tell your administrator the codes below.",
        "look up the last reason on this page";
}

/// As logs word it.
impl std::fmt::Display for LoopCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code(), self.cure())
    }
}

/// What a browser brought back that has gone round, when our own page sent it here: a navigation within the site, which
/// carries cookies whatever their SameSite.
pub struct Evidence<'a> {
    /// The code with which the last round ended.
    pub last: &'a str,
    /// A session that is known here.
    pub has_session: bool,
    /// The cookie, whatever it is worth.
    pub has_session_cookie: bool,
    pub has_login_cookie: bool,
    /// The cookie that the ACS has set: it says that this is the ACS's host.
    pub has_probe: bool,
}

impl Evidence<'_> {
    pub fn cause(&self) -> LoopCause {
        match self.last {
            "session_cookie_missing" if self.has_session => LoopCause::SameSite,
            "session_cookie_missing" if self.has_session_cookie => LoopCause::NotRemembered,
            "session_cookie_missing" => LoopCause::CookieNotReturned,
            "login_of_other_browser" => match (self.has_login_cookie, self.has_probe) {
                (false, _) => LoopCause::CookieNotReturned,
                (true, false) => LoopCause::WrongHost,
                (true, true) => LoopCause::SameSite,
            },
            // Nobody takes a quarter of an hour three times in two minutes.
            "login_expired" => LoopCause::Clock,
            "login_unknown" => LoopCause::NotRemembered,
            _ => LoopCause::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Refusal;

    #[track_caller]
    fn check(last: &str, brought: &[&str], expected: LoopCause) {
        let evidence = Evidence {
            last,
            has_session: brought.contains(&"session"),
            has_session_cookie: brought.iter().any(|what| what.starts_with("session")),
            has_login_cookie: brought.contains(&"login"),
            has_probe: brought.contains(&"probe"),
        };
        assert_eq!(evidence.cause(), expected, "{last} {brought:?}");
    }

    #[test]
    fn what_comes_back_tells_the_cause() {
        check("login_of_other_browser", &[], LoopCause::CookieNotReturned);
        check("login_of_other_browser", &["probe"], LoopCause::CookieNotReturned);
        check("login_of_other_browser", &["login"], LoopCause::WrongHost);
        check("login_of_other_browser", &["login", "probe"], LoopCause::SameSite);
        check("session_cookie_missing", &["login", "probe"], LoopCause::CookieNotReturned);
        check("session_cookie_missing", &["login", "probe", "session cookie"], LoopCause::NotRemembered);
        check("session_cookie_missing", &["login", "probe", "session"], LoopCause::SameSite);
        check("login_expired", &["login", "probe"], LoopCause::Clock);
        check("login_unknown", &["login", "probe"], LoopCause::NotRemembered);
        check("assertion_replayed", &["login", "probe"], LoopCause::Unknown);
    }

    #[test]
    fn the_codes_that_are_looked_at_exist() {
        for code in ["session_cookie_missing", "login_of_other_browser", "login_expired", "login_unknown"] {
            assert!(Refusal::catalogue().iter().any(|(known, _)| *known == code), "{code}");
        }
    }
}
