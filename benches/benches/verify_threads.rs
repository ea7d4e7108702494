//! How much more two threads verify than one.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use benches::login::{Gate, issued};
use benches::{Pace, median};
use issuer::test_keys;

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let key = test_keys::rsa_2048();
    let body = issued(key, 8 * 1024).form_body(None);
    let gate = Gate::pinning(key);
    let calls = (Pace::thorough().slice.as_micros() as usize * 4 / 60).max(100);
    let run = |threads: usize| {
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..calls {
                        drop(black_box(gate.verify(black_box(body.as_bytes())).expect("accepted")));
                    }
                });
            }
        });
        start.elapsed()
    };
    run(2);
    let (mut one, mut two): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for _ in 0..Pace::thorough().rounds {
        one.push(run(1));
        two.push(run(2));
    }
    let gain = 2.0 * median(one).as_secs_f64() / median(two).as_secs_f64();
    println!("verify_threads: two threads do {gain:.2} x the work of one ({} cores)", cores());
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
