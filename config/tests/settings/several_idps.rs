//! Several identity providers, and what keeps them apart.

use config::{Access, Settings};

use crate::support::{Folder, MINIMAL, instead, with_first_route, with_idp};

const RULE: &str = "{ path: /x, access: { groups: [a], idps: [staff] }, upstream: app }";

/// `jumpcloud` for example.com and `staff` for staff.example, with a first route.
fn two(route: &str) -> String {
    let staff = "  - id: staff\n    entity_id: staff\n    sso_url: https://staff.example/sso\n    \
                 certificate_file: certificate.pem\n    email_domains: [staff.example, B.Example]\n";
    let own = "    certificate_file: certificate.pem\n";
    let yaml = with_first_route(route).replace("upstreams:\n", &format!("{staff}upstreams:\n"));
    yaml.replacen(own, &format!("{own}    email_domains: [example.com]\n"), 1)
}

fn settings(yaml: &str) -> Settings {
    Folder::new().accepted(yaml).settings
}

fn idps_of(settings: &Settings) -> Vec<&str> {
    match &settings.routes[0].access {
        Access::Allow(allow) => allow.idps.iter().map(saml_core::IdpId::as_str).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_says_for_which_domains_it_speaks_and_rules_say_whose_word_counts() {
    let settings = settings(&two(RULE));
    let [first, second] = settings.identity_providers.as_slice() else { panic!("two are configured") };
    assert_eq!((first.email_domains.as_slice(), first.id.as_str()), (&["example.com".to_owned()][..], "jumpcloud"));
    assert_eq!(second.email_domains, ["staff.example", "b.example"]);
    assert_eq!(idps_of(&settings), ["staff"]);
}

/// Upstreams know a user of `staff` as `staff:<unique id>`.
#[test]
fn the_first_reserves_the_names_of_the_others_users() {
    let settings = settings(&two(RULE));
    let reserved = |index: usize| settings.identity_providers[index].reserved.iter().map(ToString::to_string);
    assert_eq!((reserved(0).collect::<Vec<_>>(), reserved(1).count()), (vec!["staff".to_owned()], 0));
}

#[test]
fn with_one_they_may_be_left_out() {
    let rule = "{ path: /x, access: { groups: [a] }, upstream: app }";
    let settings = settings(&with_first_route(rule));
    assert_eq!(idps_of(&settings), ["jumpcloud"]);
    assert!(settings.identity_providers[0].email_domains.is_empty());
    assert!(settings.identity_providers[0].reserved.is_empty());
    Folder::new()
        .accepted(&with_first_route("{ path: /x, access: { groups: [a], idps: [jumpcloud] }, upstream: app }"));
    Folder::new().accepted(&with_idp("email_domains: [example.com]"));
}

#[test]
fn what_keeps_several_apart_must_be_said() {
    let folder = Folder::new();
    folder.accepted(&two(RULE));
    let rule = |access: &str| two(&format!("{{ path: /x, access: {access}, upstream: app }}"));
    for (yaml, path, said) in [
        (
            two(RULE).replace("    email_domains: [example.com]\n", ""),
            "identity_providers[0].email_domains",
            "several identity providers / write `email_domains: [example.com]`",
        ),
        (two(RULE).replace("[example.com]", "[]"), "identity_providers[0].email_domains", "empty list"),
        (two(RULE).replace("[example.com]", "['*.a']"), "identity_providers[0].email_domains[0]", "matched whole"),
        (
            two(RULE).replace("id: staff", "id: jumpcloud").replace("[staff]", "[jumpcloud]"),
            "identity_providers[1].id",
            "choose another",
        ),
        (
            two(RULE).replace("entity_id: staff", "entity_id: jumpcloud-samlgate"),
            "identity_providers[1].entity_id",
            "is the entity_id of another identity provider too",
        ),
        (rule("{ groups: [a] }"), "routes[0].access.idps", "write `idps: [jumpcloud, staff]`"),
        (rule("{ emails: [a@b.example] }"), "routes[0].access.idps", "is missing"),
        (rule("{ email_domains: [b.example] }"), "routes[0].access.idps", "is missing"),
        (rule("{ groups: [a], idps: [] }"), "routes[0].access.idps", "empty list"),
        (rule("{ groups: [a], idps: [staf] }"), "routes[0].access.idps[0]", "did you mean `staff`?"),
        (rule("{ groups: [a], idps: [okta] }"), "routes[0].access.idps[0]", "jumpcloud, staff"),
        (rule("{ groups: [a], idps: [staff, staff] }"), "routes[0].access.idps[1]", "listed twice"),
        (rule("{ idps: [staff] }"), "routes[0].access", "names no groups, emails or email_domains"),
    ] {
        let error = folder.only_mistake(&yaml);
        assert_eq!(error.path, path, "{error}\n{yaml}");
        assert!(format!("{} / {}", error.problem, error.cure).contains(said), "{said}: {error}");
    }
}

#[test]
fn a_login_page_that_is_off_cannot_choose_between_two() {
    let off = |yaml: &str| Folder::new().accepted(&format!("{yaml}login_page: false\n")).warnings;
    assert!(off(MINIMAL).is_empty());
    let warnings = off(&two(RULE));
    assert_eq!(warnings.len(), 1);
    assert_eq!((warnings[0].path.as_str(), warnings[0].cure.as_str()), ("login_page", "remove it"));
    assert!(off(&instead("certificate_file", "certificate_file")).is_empty());
}
