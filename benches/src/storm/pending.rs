//! People who are at their identity provider, and the bounds on how many may be.

use std::collections::VecDeque;

/// As `gateway/src/session/pending.rs` has it; a test holds them together.
pub const MAX_IN_ALL: f64 = 50_000.0;
pub const MAX_PER_ADDRESS: f64 = 10_000.0;
const PENDING_SECONDS: usize = 900;
/// A login that nobody finished counts until it is forgotten.
const KEPT_SECONDS: usize = 1_800;

/// Logins that began in one second: behind the address that most come from, and elsewhere.
#[derive(Debug, Default, Clone, Copy)]
struct Began {
    behind: Logins,
    elsewhere: Logins,
}

#[derive(Debug, Default, Clone, Copy)]
struct Logins {
    /// Whose people are at the identity provider.
    waiting: f64,
    /// Whose people never come back.
    left: f64,
}

impl Logins {
    fn of(count: f64, given_up: f64) -> Self {
        Self { waiting: count * (1.0 - given_up), left: count * given_up }
    }

    fn count(self) -> f64 {
        self.waiting + self.left
    }

    /// Takes out `most` of them, alike of both kinds; says how many, and how many of them had people waiting.
    fn drop(&mut self, most: f64) -> (f64, f64) {
        let count = self.count();
        let share = if count > most { most / count } else { 1.0 };
        let lost = self.waiting * share;
        let all = count * share;
        self.waiting -= lost;
        self.left -= self.left * share;
        (all, lost)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct People {
    /// Mean seconds at the identity provider; how long a person takes is exponential.
    pub away: f64,
    /// The share that never comes back.
    pub given_up: f64,
    /// The share that comes from one address.
    pub behind: f64,
}

/// What a second brought.
#[derive(Debug, Default, Clone, Copy)]
pub struct Came {
    pub signed_in: f64,
    /// Came back, and their login was no longer known.
    pub refused: f64,
}

#[derive(Debug, Clone)]
pub struct Pending {
    people: People,
    in_all: f64,
    per_address: f64,
    /// The oldest first.
    began: VecDeque<Began>,
    /// What they sum up to.
    behind: f64,
    all: f64,
    /// People at their identity provider whose login was dropped.
    unknown: f64,
    most: f64,
    most_behind: f64,
}

impl Pending {
    pub fn bounded(people: People, in_all: f64, per_address: f64) -> Self {
        let began = VecDeque::with_capacity(KEPT_SECONDS + 1);
        let (behind, all) = (0.0, 0.0);
        Self { people, in_all, per_address, began, behind, all, unknown: 0.0, most: 0.0, most_behind: 0.0 }
    }

    /// What would be there if nothing were dropped.
    pub fn unbounded(people: People) -> Self {
        Self::bounded(people, f64::INFINITY, f64::INFINITY)
    }

    /// A second in which `count` people are sent to sign in.
    pub fn step(&mut self, count: f64) -> Came {
        let behind = count * self.people.behind;
        self.began.push_back(Began {
            behind: Logins::of(behind, self.people.given_up),
            elsewhere: Logins::of(count - behind, self.people.given_up),
        });
        self.behind += behind;
        self.all += count;
        if let Some(forgotten) = self.too_old() {
            self.behind -= forgotten.behind.count();
            self.all -= forgotten.behind.count() + forgotten.elsewhere.count();
        }
        self.expire();
        self.keep_bounds();
        self.come_back()
    }

    fn too_old(&mut self) -> Option<Began> {
        if self.began.len() > KEPT_SECONDS { self.began.pop_front() } else { None }
    }

    /// Who comes back too late is refused, and the login is still remembered for a while.
    fn expire(&mut self) {
        let Some(index) = self.began.len().checked_sub(PENDING_SECONDS) else { return };
        if let Some(began) = self.began.get_mut(index) {
            for logins in [&mut began.behind, &mut began.elsewhere] {
                self.unknown += logins.waiting;
                logins.left += logins.waiting;
                logins.waiting = 0.0;
            }
        }
    }

    /// The oldest go, as in the store.
    fn keep_bounds(&mut self) {
        for began in &mut self.began {
            if self.behind <= self.per_address {
                break;
            }
            let (dropped, lost) = began.behind.drop(self.behind - self.per_address);
            self.behind -= dropped;
            self.all -= dropped;
            self.unknown += lost;
        }
        for began in &mut self.began {
            if self.all <= self.in_all {
                break;
            }
            let (dropped, lost) = began.behind.drop(self.all - self.in_all);
            self.behind -= dropped;
            let (others, lost_elsewhere) = began.elsewhere.drop((self.all - dropped - self.in_all).max(0.0));
            self.all -= dropped + others;
            self.unknown += lost + lost_elsewhere;
        }
        self.most_behind = self.most_behind.max(self.behind);
        self.most = self.most.max(self.all);
    }

    fn come_back(&mut self) -> Came {
        let share = 1.0 - (-1.0 / self.people.away).exp();
        let (mut behind, mut elsewhere) = (0.0, 0.0);
        // Of older ones nobody is awaited.
        for began in self.began.iter_mut().rev().take(PENDING_SECONDS) {
            behind += began.behind.waiting * share;
            elsewhere += began.elsewhere.waiting * share;
            began.behind.waiting *= 1.0 - share;
            began.elsewhere.waiting *= 1.0 - share;
        }
        self.behind -= behind;
        self.all -= behind + elsewhere;
        let refused = self.unknown * share;
        self.unknown -= refused;
        Came { signed_in: behind + elsewhere, refused }
    }

    /// The most that there were at once.
    pub fn most(&self) -> f64 {
        self.most
    }

    /// The most behind one address.
    pub fn most_behind(&self) -> f64 {
        self.most_behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEOPLE: People = People { away: 30.0, given_up: 0.1, behind: 0.5 };

    fn away(pending: &Pending) -> f64 {
        let waiting = |began: &Began| began.behind.waiting + began.elsewhere.waiting;
        pending.began.iter().map(waiting).sum::<f64>() + pending.unknown
    }

    #[test]
    fn the_bounds_are_those_of_the_gateway() {
        let code = include_str!("../../../gateway/src/session/pending.rs");
        for line in [
            "MAX_IN_ALL: usize = 50_000;",
            "MAX_PER_ADDRESS: usize = 10_000;",
            "PENDING_SECONDS: i64 = 15 * 60;",
            "REMEMBERED_SECONDS: i64 = PENDING_SECONDS;",
        ] {
            assert!(code.contains(line), "{line}");
        }
    }

    #[test]
    fn whoever_came_has_signed_in_was_refused_gave_up_or_is_away() {
        let mut pending = Pending::bounded(PEOPLE, 2_000.0, 500.0);
        let (mut came, mut signed_in, mut refused) = (0.0, 0.0, 0.0);
        for second in 0..3_000 {
            let now = f64::from(second % 200);
            came += now;
            let back = pending.step(now);
            signed_in += back.signed_in;
            refused += back.refused;
            let sum = signed_in + refused + came * PEOPLE.given_up + away(&pending);
            assert!((came - sum).abs() < 1e-6 * came.max(1.0), "{came} came, {sum} accounted for");
            let counted: f64 = pending.began.iter().map(|began| began.behind.count() + began.elsewhere.count()).sum();
            assert!((counted - pending.all).abs() < 1e-6 * came.max(1.0), "{counted} are there");
        }
        assert!(refused > 0.0 && pending.most() <= 2_000.0 + 1e-6 && pending.most_behind() <= 500.0 + 1e-6);
    }

    #[test]
    fn without_bounds_the_count_is_the_rate_times_the_time_away() {
        let mut pending = Pending::unbounded(People { given_up: 0.0, ..PEOPLE });
        let refused: f64 = (0..600).map(|_| pending.step(100.0).refused).sum();
        // Counted before anybody of that second comes back: one half second more than the mean.
        assert!((pending.most() - 3_050.0).abs() < 10.0, "{}", pending.most());
        assert_eq!(refused, 0.0);
    }

    #[test]
    fn those_who_gave_up_go_first() {
        let mut pending = Pending::bounded(People { behind: 0.0, ..PEOPLE }, 20_000.0, 10_000.0);
        let refused: f64 = (0..3_000).map(|_| pending.step(100.0).refused).sum();
        assert!(pending.most() < 20_000.1 && pending.most() > 19_999.0, "18,000 gave up, 2,700 are away");
        assert!(refused < 1e-3, "{refused}");
    }
}
