//! One server and the work that waits for it.

/// Work is in seconds of the server's time; a step is one second.
#[derive(Debug, Default, Clone)]
pub struct Queue {
    servers: f64,
    came: f64,
    served: f64,
    waiting: f64,
    busiest: f64,
    longest: f64,
}

impl Queue {
    /// `servers` work beside each other: cores, or 1 for a Redis.
    pub fn of(servers: f64) -> Self {
        Self { servers, ..Self::default() }
    }

    /// A second in which `work` comes.
    pub fn step(&mut self, work: f64) {
        self.came += work;
        let wanted = self.waiting + work;
        let done = wanted.min(self.servers);
        self.served += done;
        self.waiting = wanted - done;
        self.busiest = self.busiest.max(work / self.servers);
        self.longest = self.longest.max(self.waiting / self.servers);
    }

    /// The most work that came in a second, over what a second can do: above 1 it was too much.
    pub fn busiest(&self) -> f64 {
        self.busiest
    }

    /// The longest that work waited because more came than was done, in seconds.
    pub fn longest(&self) -> f64 {
        self.longest
    }
}

/// The mean wait of an M/D/1 queue in seconds: what chance makes wait although there is time enough. At 1 and above
/// no such mean exists, and [`Queue::longest`] says what matters.
pub fn mean_wait(busy: f64, service: f64) -> f64 {
    let busy = busy.min(0.99);
    service * busy / (2.0 * (1.0 - busy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_was_served_or_waits() {
        let mut queue = Queue::of(2.0);
        for second in 0..1_000 {
            queue.step(f64::from(second % 7));
            assert!((queue.came - queue.served - queue.waiting).abs() < 1e-6);
            assert!(queue.waiting >= 0.0 && queue.served <= 2.0 * f64::from(second + 1));
        }
        assert!(queue.waiting > 0.0, "3 a second on average is more than 2");
    }

    #[test]
    fn what_is_left_of_a_rush_is_served_when_the_rush_is_over() {
        let mut queue = Queue::of(1.0);
        queue.step(5.0);
        assert_eq!((queue.waiting, queue.longest(), queue.busiest()), (4.0, 4.0, 5.0));
        (0..4).for_each(|_| queue.step(0.0));
        assert_eq!((queue.waiting, queue.served), (0.0, 5.0));
        assert_eq!(queue.longest(), 4.0);
    }

    #[test]
    fn the_mean_wait_is_that_of_the_textbook() {
        assert_eq!(mean_wait(0.5, 1.0), 0.5);
        assert_eq!(mean_wait(0.0, 1.0), 0.0);
    }
}
