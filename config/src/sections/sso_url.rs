//! Where AuthnRequests go: as the settings say, else as the metadata declares for the binding.

use saml_core::{IdpMetadata, SsoUrl};
use url::Url;

use super::parsed;
use crate::settings::Binding;
use crate::source::Findings;
use crate::table::Section;

/// The address in the settings; `None` where none stands there, or its fault was reported.
pub(crate) fn explicit(section: &Section<'_>, findings: &mut Findings) -> Option<SsoUrl> {
    let url = parsed(section, "sso_url", SsoUrl::parse, findings)?;
    warn_of_plain_http(section, &url, findings);
    Some(url)
}

/// The explicit address wins over the metadata's.
pub(crate) fn read(
    section: &Section<'_>,
    metadata: Option<&IdpMetadata>,
    binding: Binding,
    findings: &mut Findings,
) -> Option<SsoUrl> {
    if section.has("sso_url") {
        return explicit(section, findings);
    }
    if !section.has("metadata_file") {
        let cure = "add it: JumpCloud's IDP URL, such as `https://sso.jumpcloud.com/saml2/samlgate`";
        findings.refuse(section.place("sso_url"), "is missing", cure);
        return None;
    }
    let IdpMetadata { redirect, post, .. } = metadata?;
    match (binding, redirect, post) {
        (Binding::Redirect, Some(url), _) | (Binding::Post, _, Some(url)) => Some(url.clone()),
        (Binding::Redirect, None, Some(_)) => {
            findings.refuse_with(
                "idp_declares_no_redirect",
                section.place("metadata_file"),
                "declares a SingleSignOnService by HTTP-POST only, and `binding` is redirect",
                "JumpCloud: SSO tab, tick Declare Redirect Endpoint, save, Export Metadata again; or write `binding: post`; \
                 or set `sso_url` to use Redirect anyway",
            );
            None
        }
        (Binding::Post, Some(_), None) => {
            let cure = "write `binding: redirect`, or set `sso_url` to use POST anyway";
            let problem = "declares a SingleSignOnService by HTTP-Redirect only, and `binding` is post";
            findings.refuse(section.place("metadata_file"), problem, cure);
            None
        }
        (_, None, None) => {
            let problem = "declares no SingleSignOnService by HTTP-Redirect or HTTP-POST";
            findings.refuse(section.place("metadata_file"), problem, "set `sso_url`, JumpCloud's IDP URL");
            None
        }
    }
}

/// Plain http to another machine.
pub(super) fn is_exposed(url: &str) -> bool {
    let is_local = |url: &Url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    Url::parse(url).is_ok_and(|url| url.scheme() == "http" && !is_local(&url))
}

fn warn_of_plain_http(section: &Section<'_>, url: &SsoUrl, findings: &mut Findings) {
    if is_exposed(url.as_str()) {
        let problem = "is plain http: whoever sits between can send people to a page that asks for their password";
        findings.warn(section.place("sso_url"), problem, "write the https address");
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use saml_core::{EntityId, Timestamp};

    use super::*;
    use crate::errors::ConfigError;
    use crate::sections::ROOT;
    use crate::yaml;

    const REDIRECT: &str = "https://idp.example/redirect";
    const POST: &str = "https://idp.example/post";

    /// The address, or the mistakes, with metadata that declares the given endpoints.
    fn read_with(
        key: &str,
        binding: Binding,
        redirect: Option<&str>,
        post: Option<&str>,
    ) -> Result<String, Vec<ConfigError>> {
        let url = |text: Option<&str>| text.map(|text| SsoUrl::parse(text).unwrap());
        let metadata = IdpMetadata {
            entity_id: EntityId::parse("idp").unwrap(),
            certificates: Vec::new(),
            redirect: url(redirect),
            post: url(post),
            logout_redirect: None,
            logout_post: None,
            want_authn_requests_signed: false,
            valid_until: None,
        };
        let yaml = format!("identity_providers:\n  - metadata_file: metadata.xml\n{key}");
        let root = yaml::parse(&yaml).unwrap();
        let section = Section::root(&ROOT, &root).sections("identity_providers").remove(0);
        let mut findings = Findings::new(PathBuf::new(), Timestamp::from_unix(0, 0));
        let found = read(&section, Some(&metadata), binding, &mut findings);
        found.map(|url| url.to_string()).ok_or_else(|| findings.with_lines(&yaml).0)
    }

    #[test]
    fn metadata_gives_the_address_of_the_binding() {
        for (binding, expected) in [(Binding::Redirect, REDIRECT), (Binding::Post, POST)] {
            assert_eq!(read_with("", binding, Some(REDIRECT), Some(POST)), Ok(expected.to_owned()));
        }
        assert_eq!(read_with("", Binding::Post, None, Some(POST)), Ok(POST.to_owned()));
    }

    #[test]
    fn an_explicit_address_wins_over_the_metadata() {
        let key = "    sso_url: https://idp.example/explicit\n";
        for binding in [Binding::Redirect, Binding::Post] {
            for (redirect, post) in [(Some(REDIRECT), Some(POST)), (None, Some(POST)), (None, None)] {
                assert_eq!(read_with(key, binding, redirect, post), Ok("https://idp.example/explicit".to_owned()));
            }
        }
    }

    #[test]
    fn metadata_without_the_address_of_the_binding_is_a_mistake() {
        for (binding, redirect, post, code, cure) in [
            (Binding::Redirect, None, Some(POST), Some("idp_declares_no_redirect"), "tick Declare Redirect Endpoint"),
            (Binding::Redirect, None, Some(POST), Some("idp_declares_no_redirect"), "`binding: post`"),
            (
                Binding::Redirect,
                None,
                Some(POST),
                Some("idp_declares_no_redirect"),
                "set `sso_url` to use Redirect anyway",
            ),
            (Binding::Post, Some(REDIRECT), None, None, "`binding: redirect`"),
            (Binding::Redirect, None, None, None, "set `sso_url`"),
        ] {
            let errors = read_with("", binding, redirect, post).unwrap_err();
            assert_eq!(errors.len(), 1, "{errors:?}");
            assert_eq!((errors[0].path.as_str(), errors[0].line), ("identity_providers[0].metadata_file", Some(2)));
            assert!(errors[0].code == code && errors[0].cure.contains(cure), "{:?}", errors[0]);
        }
    }
}
