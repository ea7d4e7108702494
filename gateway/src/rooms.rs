//! How many requests each route takes at a time.

use std::sync::Arc;

use config::Route;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// In the order of the routes; none where a route takes any number.
pub struct Rooms(Vec<Option<Room>>);

#[derive(Clone)]
struct Room {
    route: String,
    limit: usize,
    free: Arc<Semaphore>,
}

/// A request that is under way. It counts until it is dropped, by a panic too.
pub type Seat = OwnedSemaphorePermit;

impl Rooms {
    pub fn new(routes: &[Route]) -> Self {
        Self(routes.iter().map(Room::new).collect())
    }

    /// For other routes; who is under way goes on counting where the limit is the same.
    pub fn renewed(&self, routes: &[Route]) -> Self {
        let known = |new: &Room| self.0.iter().flatten().find(|old| old.route == new.route && old.limit == new.limit);
        let room = |route| Room::new(route).map(|new| known(&new).cloned().unwrap_or(new));
        Self(routes.iter().map(room).collect())
    }

    /// # Errors
    /// The route is full.
    pub fn enter(&self, route: usize) -> Result<Option<Seat>, Refusal> {
        let Some(room) = self.0.get(route).and_then(Option::as_ref) else { return Ok(None) };
        let seat = Arc::clone(&room.free).try_acquire_owned();
        seat.map(Some).map_err(|_| Refusal::RouteFull { limit: room.limit })
    }
}

impl Room {
    fn new(route: &Route) -> Option<Self> {
        let limit = route.limits.max_in_flight?;
        Some(Self { route: route.id.clone(), limit, free: Arc::new(Semaphore::new(limit)) })
    }
}
