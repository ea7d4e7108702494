//! One verification, or its floor, over and over, for a tool that counts instructions: see `benches/run-instructions`.

use std::hint::black_box;

use benches::floor::Floor;
use benches::login::{Gate, issued, with_groups};
use issuer::test_keys;

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TIMES: usize = 20;

/// `verify` or `floor`, then the number of groups, or of kB with a `k` behind it.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [work, size] = arguments.as_slice() else { panic!("wanted: verify|floor SIZE") };
    let key = test_keys::rsa_2048();
    let issued = match size.strip_suffix('k') {
        Some(kb) => issued(key, kb.parse::<usize>().expect("a number") * 1024),
        None => with_groups(size.parse().expect("a number")).issue(key),
    };
    let (body, gate, floor) = (issued.form_body(None), Gate::pinning(key), Floor::of(&issued, key));
    for _ in 0..TIMES {
        match work.as_str() {
            "verify" => drop(black_box(gate.verify(black_box(body.as_bytes())).expect("accepted"))),
            _ => floor.run(),
        }
    }
}
