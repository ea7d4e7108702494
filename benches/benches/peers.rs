//! Other verifiers beside ours, in one run and on one response: samael by both of its modes that take a response with
//! two signatures, and bergshamra, which verifies signatures alone. Run by `benches/run-peers`.

use std::hint::black_box;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use benches::floor::Floor;
use benches::login::{ACS, Gate, IDP, SP, issued};
use benches::medians_side_by_side;
use bergshamra::{DsigContext, KeysManager, verify_all};
use issuer::test_keys;
use samael::crypto::ReduceMode;
use samael::metadata::EntityDescriptor;
use samael::service_provider::{ServiceProvider, ServiceProviderBuilder};

/// The gateway's, for all that is Rust; the C libraries below samael keep their own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RESPONSE_BYTES: usize = 8 * 1024;

/// How many times faster than samael we must be.
const BAR: f64 = 15.0;

fn main() {
    let key = test_keys::rsa_2048();
    let issued = issued(key, RESPONSE_BYTES);
    let (body, gate, floor) = (issued.form_body(Some("relay")), Gate::pinning(key), Floor::of(&issued, key));
    let ours = || drop(black_box(gate.verify(black_box(body.as_bytes())).expect("accepted")));
    let encoded = issued.base64();
    let samael = samael(&key.certificate_base64());
    let by_samael = |mode| {
        let assertion = samael.parse_base64_response_with_mode(black_box(&encoded), None, mode);
        drop(black_box(assertion.expect("samael accepts")));
    };
    let bergshamra = bergshamra(key.certificate_pem());
    let by_bergshamra = || {
        let results = verify_all(&bergshamra, black_box(&issued.xml)).expect("bergshamra reads it");
        assert!(
            results.len() == 2 && results.iter().all(bergshamra::VerifyResult::is_valid),
            "bergshamra verifies both"
        );
    };

    println!("one response of {} bytes, Response and Assertion signed, RSA-2048, SHA-256", issued.xml.len());
    println!();
    println!("| what | us | beside | us | ratio |");
    println!("|---|---|---|---|---|");
    row("samlgate, from the form to the accepted login", "the floor", medians_side_by_side(ours, || floor.run()));
    row("bergshamra, signatures only", "samlgate", medians_side_by_side(by_bergshamra, ours));
    let strict = medians_side_by_side(|| by_samael(ReduceMode::PreDigest), ours);
    row("samael, from base64, `PreDigest`", "samlgate", strict);
    let default = medians_side_by_side(|| by_samael(ReduceMode::default()), ours);
    row("samael, from base64, its default mode", "samlgate", default);
    let ratio = ratio(default);
    println!();
    println!("samlgate is {ratio:.1} times faster than samael by default; wanted: at least {BAR}");
    assert!(ratio >= BAR, "too slow beside samael");
}

fn row(what: &str, beside: &str, medians: (Duration, Duration)) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!("| {what} | {:.1} | {beside} | {:.1} | {:.2} |", micros(medians.0), micros(medians.1), ratio(medians));
}

fn ratio((work, beside): (Duration, Duration)) -> f64 {
    work.as_secs_f64() / beside.as_secs_f64()
}

/// The response is of a fixed moment, and samael reads the machine's clock.
fn samael(certificate: &str) -> ServiceProvider {
    let metadata: EntityDescriptor = format!(
        "<EntityDescriptor entityID=\"{IDP}\"><IDPSSODescriptor><KeyDescriptor use=\"signing\"><KeyInfo><X509Data>\
         <X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo></KeyDescriptor></IDPSSODescriptor></EntityDescriptor>"
    )
    .parse()
    .expect("metadata");
    assert!(STANDARD.decode(certificate).is_ok(), "samael is given a key, or it would verify nothing");
    ServiceProviderBuilder::default()
        .entity_id(SP.to_owned())
        .acs_url(ACS.to_owned())
        .idp_metadata(metadata)
        .allow_idp_initiated(true)
        .max_issue_delay(chrono::Duration::weeks(5_000))
        .max_clock_skew(chrono::Duration::weeks(5_000))
        .build()
        .expect("samael is set up")
}

fn bergshamra(certificate: &str) -> DsigContext {
    let mut keys = KeysManager::new();
    keys.add_key(bergshamra::keys::loader::load_x509_cert_pem(certificate.as_bytes()).expect("a certificate"));
    DsigContext::new(keys).with_trusted_keys_only(true)
}
