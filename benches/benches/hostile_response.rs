//! What a refused hostile response costs, beside an accepted one of its size, with one pinned key: one full of groups,
//! as real ones are that large, and for comparison one whose size is in a few long values, the cheapest there is.

use std::hint::black_box;

use benches::login::{Gate, full_of_groups, issued};
use benches::{Pace, hostile, medians_at};
use issuer::test_keys;

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let key = test_keys::rsa_2048();
    let gate = Gate::pinning(key);
    // Some cases are a few bytes larger than asked for, and must not be refused for that.
    for size in [8 * 1024, 127 * 1024] {
        let accepted = full_of_groups(key, size).form_body(None);
        let cheapest = issued(key, size).form_body(None);
        let take = || drop(black_box(gate.verify(black_box(cheapest.as_bytes())).expect("accepted")));
        let accept = || drop(black_box(gate.verify(black_box(accepted.as_bytes())).expect("accepted")));
        let mut worst = (0.0, "");
        for case in hostile::all(key, size) {
            let seen = gate.verify(case.body.as_bytes()).map_err(|rejection| rejection.code()).err();
            assert_eq!(seen, Some(case.code), "{} of {size} bytes", case.name);
            let refuse = || drop(black_box(gate.verify(black_box(case.body.as_bytes())).expect_err("refused")));
            let (refused, accepted) = medians_at(Pace::brisk(), refuse, accept);
            let ratio = refused.as_secs_f64() / accepted.as_secs_f64();
            println!("hostile_response {} kB: {ratio:.2} x accepted, {}", size / 1024, case.name);
            if ratio > worst.0 {
                worst = (ratio, case.name);
            }
        }
        let (full, cheap) = medians_at(Pace::brisk(), accept, take);
        let ratio = full.as_secs_f64() / cheap.as_secs_f64();
        println!("hostile_response {} kB: {ratio:.2} x one of long values, the accepted one", size / 1024);
        println!("hostile_response {} kB: worst {:.2} x accepted ({})", size / 1024, worst.0, worst.1);
    }
}
