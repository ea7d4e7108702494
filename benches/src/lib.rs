//! What the benches share.

pub mod floor;
pub mod hostile;
pub mod login;
#[cfg(feature = "road")]
pub mod road;
#[cfg(feature = "sessions")]
pub mod sessions;
pub mod storm;

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// How long a bench looks. `--quick` proves that it runs and gives a first figure.
#[derive(Clone, Copy)]
pub struct Pace {
    pub rounds: usize,
    pub slice: Duration,
}

impl Pace {
    pub fn thorough() -> Self {
        Self { rounds: 60, slice: Duration::from_millis(15) }.or_quick()
    }

    /// Where one bench measures many things.
    pub fn brisk() -> Self {
        Self { rounds: 30, slice: Duration::from_millis(5) }.or_quick()
    }

    fn or_quick(self) -> Self {
        let quick = std::env::args().any(|argument| argument == "--quick");
        if quick { Self { rounds: 9, slice: Duration::from_millis(2) } } else { self }
    }
}

/// The medians, per call, of the processor's time of two pieces of work, measured in turn so that a change of
/// the machine's pace meets both alike.
pub fn medians_side_by_side(one: impl FnMut(), other: impl FnMut()) -> (Duration, Duration) {
    medians_at(Pace::thorough(), one, other)
}

/// As [`medians_side_by_side`], at a pace of the caller's choice.
pub fn medians_at(pace: Pace, mut one: impl FnMut(), mut other: impl FnMut()) -> (Duration, Duration) {
    let calls = calls_in(pace.slice, &mut one);
    let other_calls = calls_in(pace.slice, &mut other);
    let (mut ones, mut others) = (Vec::with_capacity(pace.rounds), Vec::with_capacity(pace.rounds));
    for _ in 0..pace.rounds {
        ones.push(per_call(calls, &mut one));
        others.push(per_call(other_calls, &mut other));
    }
    (median(ones), median(others))
}

/// As [`medians_side_by_side`], for work on what has just arrived: `arrive` is not counted, and leaves what it makes in the
/// processor's cache, as reading a socket does.
pub fn medians_on_arrivals<T>(
    mut arrive: impl FnMut() -> Vec<T>,
    mut one: impl FnMut(&T),
    mut other: impl FnMut(&T),
) -> (Duration, Duration) {
    let pace = Pace::thorough();
    let (mut ones, mut others) = (Vec::with_capacity(pace.rounds), Vec::with_capacity(pace.rounds));
    for _ in 0..pace.rounds {
        ones.push(per_arrival(pace.slice, &mut arrive, &mut one));
        others.push(per_arrival(pace.slice, &mut arrive, &mut other));
    }
    (median(ones), median(others))
}

fn per_arrival<T>(slice: Duration, arrive: &mut impl FnMut() -> Vec<T>, work: &mut impl FnMut(&T)) -> Duration {
    let (mut spent, mut count) = (Duration::ZERO, 0);
    while spent < slice {
        let arrivals = arrive();
        let start = processor_time();
        arrivals.iter().for_each(&mut *work);
        spent += processor_time() - start;
        count += u32::try_from(arrivals.len()).unwrap_or(u32::MAX);
    }
    spent / count
}

fn calls_in(time: Duration, work: &mut impl FnMut()) -> u32 {
    let mut calls = 1;
    loop {
        if per_call(calls, work) * calls > time {
            return calls;
        }
        calls *= 2;
    }
}

fn per_call(calls: u32, work: &mut impl FnMut()) -> Duration {
    let start = processor_time();
    (0..calls).for_each(|_| work());
    (processor_time() - start) / calls
}

/// That this thread has had: what else the machine does in between is no cost of the work.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock of this thread").into()
}

pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// The line that each bench ends with; `note` says what is behind the figures.
pub fn print_ratio(name: &str, note: &str, work: Duration, floor: Duration) {
    let micros = |time: Duration| {
        let micros = time.as_secs_f64() * 1e6;
        let digits = if micros < 10.0 { 2 } else { 1 };
        format!("{micros:.digits$} us")
    };
    let ratio = work.as_secs_f64() / floor.as_secs_f64();
    println!("{name}: {}, floor {}, ratio {ratio:.2} x floor{note}", micros(work), micros(floor));
}

/// The processor and how many cores there are.
pub fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':')).map(|(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores", model.unwrap_or("unknown"))
}

/// What the figures are of.
pub fn commit() -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default().trim().to_owned()
}
