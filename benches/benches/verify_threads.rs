//! How much more two threads verify than one, beside the floor, whose threads share nothing but a key.
//!
//! Two cores of a rented machine may be two halves of one, and its neighbours come and go: the median says what
//! the machine gave, the best round what the code can do. State that threads wait for would hold back each round.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use benches::Pace;
use benches::floor::Floor;
use benches::login::{Gate, issued};
use issuer::test_keys;

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Calls a second of one thread and of two, a round each.
#[derive(Default)]
struct Rates {
    one: Vec<f64>,
    two: Vec<f64>,
}

fn main() {
    let key = test_keys::rsa_2048();
    let issued = issued(key, 8 * 1024);
    let body = issued.form_body(None);
    let gate = Gate::pinning(key);
    let floor = Floor::of(&issued, key);
    let verify = || drop(black_box(gate.verify(black_box(body.as_bytes())).expect("accepted")));

    let Pace { rounds, slice } = Pace::thorough();
    let (mut ours, mut floors) = (Rates::default(), Rates::default());
    for _ in 0..rounds * 3 {
        ours.look(slice, &verify);
        floors.look(slice, &|| floor.run());
    }
    println!(
        "verify_threads: two threads do {:.2} x the work of one, the floor's {:.2} x (best of {} rounds, {} cores)",
        ours.best(),
        floors.best(),
        rounds * 3,
        thread::available_parallelism().map_or(1, usize::from)
    );
    println!("verify_threads: over all rounds {:.2} x, the floor's {:.2} x (medians)", ours.median(), floors.median());
}

impl Rates {
    fn look(&mut self, slice: Duration, work: &(impl Fn() + Sync)) {
        self.one.push(rate(1, slice, work));
        self.two.push(rate(2, slice, work));
    }

    fn best(&self) -> f64 {
        let most = |rates: &[f64]| rates.iter().copied().fold(0.0, f64::max);
        most(&self.two) / most(&self.one)
    }

    fn median(&self) -> f64 {
        let middle = |rates: &[f64]| {
            let mut sorted = rates.to_vec();
            sorted.sort_by(f64::total_cmp);
            sorted[sorted.len() / 2]
        };
        middle(&self.two) / middle(&self.one)
    }
}

/// Calls a second of so many threads together, each counted over the time that it itself took.
fn rate(threads: usize, slice: Duration, work: &(impl Fn() + Sync)) -> f64 {
    let ready = Barrier::new(threads);
    let one = || {
        ready.wait();
        let start = Instant::now();
        let mut calls = 0;
        while start.elapsed() < slice {
            work();
            calls += 1;
        }
        f64::from(calls) / start.elapsed().as_secs_f64()
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        running.into_iter().map(|thread| thread.join().expect("a thread that ends")).sum()
    })
}
