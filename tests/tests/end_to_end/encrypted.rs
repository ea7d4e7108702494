//! Encrypted assertions, opened with the key that `keys_dir` holds.

use harness::issuer::{Encryption, Sign, test_keys};
use harness::world::World;
use serde_json::json;

use crate::support::{Awaiting, form, key_file, samlgate};

async fn world(files: &[(&str, String)]) -> World {
    World::start_with(samlgate(), |gateway| {
        let gateway = gateway.file("keys/index.current", &"0a".repeat(32)).set("keys_dir", json!("keys"));
        files.iter().fold(gateway, |gateway, (name, text)| gateway.file(&format!("keys/{name}"), text))
    })
    .await
}

/// Status and text of the answer to a login whose assertion is encrypted for `recipient`.
async fn answer(world: &mut World, encryption: Encryption) -> (u16, String) {
    let awaiting = Awaiting::start(world, "/a").await;
    let spec = awaiting.spec(world).sign(Sign::Both).encrypt(encryption);
    let answer = awaiting.post(world, &form(&spec.issue(world.idp.key()).xml)).await;
    (answer.status, answer.text())
}

#[tokio::test]
async fn the_current_key_and_the_one_before_it_open_assertions() {
    let mut world = world(&[
        ("sp-decryption.current", key_file(test_keys::decryption())),
        ("sp-decryption.previous", key_file(test_keys::decryption_previous())),
    ])
    .await;
    for recipient in [test_keys::decryption(), test_keys::decryption_previous()] {
        let (status, text) = answer(&mut world, Encryption::to(recipient)).await;
        assert_eq!(status, 303, "{text}");
    }
    let (status, text) = answer(&mut world, Encryption::to(test_keys::stranger())).await;
    assert!(status == 403 && text.contains("decryption_failed"), "{text}");
    let plain = world.sign_in("ada", "/plain").await;
    assert_eq!(plain.page().status, 200, "what is not encrypted is taken as before");
}

#[tokio::test]
async fn without_a_key_an_encrypted_assertion_is_refused_by_name() {
    let mut world = World::start(samlgate()).await;
    let (status, text) = answer(&mut world, Encryption::to(test_keys::decryption())).await;
    assert!(status == 403 && text.contains("encryption_unsupported"), "{text}");
    assert_eq!(world.sign_in("ada", "/a").await.page().status, 200, "the control");
}

#[tokio::test]
async fn our_metadata_tells_the_key_to_encrypt_for() {
    let world = world(&[
        ("sp-decryption.current", key_file(test_keys::decryption())),
        ("sp-decryption.previous", key_file(test_keys::decryption_previous())),
    ])
    .await;
    let mut tab = world.browser.tab();
    let metadata = tab.visit(&world.gateway.url("/saml/metadata")).await.body.clone();
    assert!(
        metadata.contains("use=\"encryption\"") && metadata.contains(&test_keys::decryption().certificate_base64())
    );
    assert!(!metadata.contains(&test_keys::decryption_previous().certificate_base64()), "it is not told any more");
}
