//! Signed requests, new sign-ins, logins that the IdP begins: what each needs to be safe.

use std::fs;

use config::IdentityProvider;

use crate::support::{Folder, instead, with_idp};

fn idp(folder: &Folder, yaml: &str) -> IdentityProvider {
    folder.accepted(yaml).settings.identity_providers.remove(0)
}

fn with_keys(folder: &Folder) {
    fs::create_dir(folder.path().join("keys")).unwrap();
    folder.write("keys/sp-signing.current", "for whoever loads it to judge", 0o600);
}

#[test]
fn all_of_it_is_off_unless_said() {
    let idp = idp(&Folder::new(), &with_idp("sign: response"));
    assert!(!idp.sign_requests && !idp.force_authn && !idp.allow_idp_initiated);
}

#[test]
fn requests_are_signed_where_there_is_a_key() {
    let folder = Folder::new();
    let yaml = with_idp("sign_requests: true");
    let error = folder.only_mistake(&yaml);
    assert_eq!(error.path, "identity_providers[0].sign_requests");
    assert!(error.cure.contains("samlgate keys generate"), "{error}");
    with_keys(&folder);
    assert!(idp(&folder, &format!("{yaml}keys_dir: keys\n")).sign_requests);
    folder.write("keys/sp-signing.current", "", 0o644);
    let error = folder.only_mistake(&format!("{}keys_dir: keys\n", with_idp("sign_requests: false")));
    assert!(error.cure.contains("chmod 600"), "{error}");
}

#[test]
fn a_new_sign_in_can_be_asked_for() {
    assert!(idp(&Folder::new(), &with_idp("force_authn: true")).force_authn);
}

#[test]
fn logins_that_the_idp_begins_need_one_process() {
    let folder = Folder::new();
    let yaml = with_idp("allow_idp_initiated: true");
    let error = folder.only_mistake(&yaml);
    assert_eq!(error.path, "identity_providers[0].allow_idp_initiated");
    assert!(error.cure.contains("`replicas: 1`") && error.cure.contains("/saml/login"), "{error}");
    assert!(idp(&folder, &format!("{yaml}replicas: 1\n")).allow_idp_initiated);
    let error = folder.only_mistake(&format!("{yaml}replicas: 2\n"));
    assert_eq!((error.path.as_str(), error.value.as_deref()), ("replicas", Some("2")));
    assert!(error.cure.contains("run one process"), "{error}");
    let both = with_idp("allow_idp_initiated: true\n    force_authn: true") + "replicas: 1\n";
    let error = folder.only_mistake(&both);
    assert_eq!(error.path, "identity_providers[0].allow_idp_initiated");
    assert_eq!(error.cure, "keep one of the two");
    folder.accepted(&instead("routes:", "replicas: 1\nroutes:"));
}
