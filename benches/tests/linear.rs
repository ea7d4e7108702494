//! The cost of a verification grows with the size of the response and not faster.

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::floor::Floor;
use benches::login::{Gate, issued};
use issuer::test_keys;

/// The best of many, for what other work on the machine adds is never negative.
fn best(mut work: impl FnMut()) -> Duration {
    let timed = || {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    std::iter::repeat_with(timed).take(200).min().expect("200 times")
}

/// Something quadratic would make the large one cost eight times as much a byte.
#[test]
fn a_byte_of_128_kb_costs_no_more_than_three_times_a_byte_of_16_kb() {
    let key = test_keys::rsa_2048();
    let gate = Gate::pinning(key);
    let per_byte = |kb: usize| {
        let issued = issued(key, kb * 1024);
        let (body, floor) = (issued.form_body(None), Floor::of(&issued, key));
        let work = best(|| drop(black_box(gate.verify(body.as_bytes()).expect("accepted"))));
        work.saturating_sub(best(|| floor.run())).as_secs_f64() / issued.xml.len() as f64
    };
    let (small, large) = (per_byte(16), per_byte(128));
    assert!(large < 3.0 * small, "{:.2} ns a byte of 128 kB, {:.2} of 16 kB", large * 1e9, small * 1e9);
}
