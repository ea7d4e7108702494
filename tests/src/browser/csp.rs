//! `form-action` of Content-Security-Policy, which Chromium applies to the redirects after a submit as well.

use url::Url;

use super::site::same_origin;

/// Where the forms of a page may lead.
#[derive(Debug, Clone)]
pub(super) struct FormAction {
    page: Url,
    /// One list of sources for each policy that has the directive; all must agree.
    policies: Vec<Vec<String>>,
}

impl FormAction {
    pub(super) fn of(page: &Url, headers: &[(String, String)]) -> Self {
        let policies = headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-security-policy"))
            .flat_map(|(_, value)| value.split(','))
            .filter_map(|policy| policy.split(';').find_map(sources))
            .collect();
        Self { page: page.clone(), policies }
    }

    pub(super) fn allows(&self, url: &Url) -> bool {
        let mut policies = self.policies.iter();
        policies.all(|sources| sources.iter().any(|source| self.matches(source, url)))
    }

    fn matches(&self, source: &str, url: &Url) -> bool {
        match source {
            "'self'" => same_origin(&self.page, url),
            "'none'" => false,
            "*" => true,
            _ => match source.strip_suffix(':') {
                Some(scheme) => url.scheme() == scheme,
                None => source.parse().is_ok_and(|source| same_origin(&source, url)),
            },
        }
    }
}

fn sources(directive: &str) -> Option<Vec<String>> {
    let mut words = directive.split_ascii_whitespace();
    let name = words.next()?;
    name.eq_ignore_ascii_case("form-action").then(|| words.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_go_where_every_policy_lets_them() {
        for (policies, url, allowed) in [
            (&["default-src 'none'"][..], "http://other/", true),
            (&["default-src 'none'; form-action 'self'"], "http://localhost:1/x", true),
            (&["form-action 'self'"], "http://localhost:2/x", false),
            (&["form-action 'self' http://127.0.0.1:4"], "http://127.0.0.1:4/sso", true),
            (&["form-action https:"], "https://other/", true),
            (&["form-action 'none'"], "http://localhost:1/", false),
            (&["form-action"], "http://localhost:1/", false),
            (&["form-action *", "form-action 'self'"], "http://other/", false),
            (&["form-action *, form-action 'self'"], "http://other/", false),
        ] {
            let header = |value: &&str| ("content-security-policy".to_owned(), (*value).to_owned());
            let headers: Vec<_> = policies.iter().map(header).collect();
            let form_action = FormAction::of(&"http://localhost:1/page".parse().unwrap(), &headers);
            assert_eq!(form_action.allows(&url.parse().unwrap()), allowed, "{policies:?} {url}");
        }
    }
}
