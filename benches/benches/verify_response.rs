//! One login's verification, from the form body to the accepted login, beside its floor: the bare
//! verifications with a parsed key and the digests of exactly the digested bytes.

use std::hint::black_box;
use std::process::Command;

use benches::floor::Floor;
use benches::login::{Gate, issued};
use benches::{medians_side_by_side, print_ratio};
use issuer::test_keys;

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RESPONSE_BYTES: usize = 8 * 1024;

fn main() {
    let keys = [("rsa2048", test_keys::rsa_2048()), ("rsa4096", test_keys::rsa_4096()), ("p256", test_keys::p256())];
    for (name, key) in keys {
        let issued = issued(key, RESPONSE_BYTES);
        let (body, gate, floor) = (issued.form_body(Some("relay")), Gate::pinning(key), Floor::of(&issued, key));
        let verify = || drop(black_box(gate.verify(black_box(body.as_bytes())).expect("accepted")));
        let (work, bare) = medians_side_by_side(verify, || floor.run());
        print_ratio(&format!("verify_response {name}"), &format!(" ({} bytes)", issued.xml.len()), work, bare);
    }
    match openssl_speed() {
        Some(figures) => println!("openssl speed, one verification: {figures}"),
        None => println!("openssl speed: there is no openssl here"),
    }
}

/// The last lines of `openssl speed` name an algorithm and end in verifications a second.
fn openssl_speed() -> Option<String> {
    let output =
        Command::new("openssl").args(["speed", "-seconds", "1", "rsa2048", "rsa4096", "ecdsap256"]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let figures: Vec<String> = text
        .lines()
        .filter_map(|line| {
            let algorithm = [("rsa 2048", "rsa2048"), ("rsa 4096", "rsa4096"), ("nistp256", "p256")]
                .into_iter()
                .find_map(|(written, name)| line.contains(written).then_some(name))?;
            let per_second: f64 = line.split_whitespace().last()?.parse().ok()?;
            Some(format!("{algorithm} {:.1} us", 1e6 / per_second))
        })
        .collect();
    (!figures.is_empty()).then(|| figures.join(", "))
}
