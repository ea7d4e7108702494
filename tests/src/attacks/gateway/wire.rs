//! A request as bytes, and what must become of it.

use std::time::Duration;

use tokio::time::timeout;

use super::super::Outcome;
use super::site::Site;
use crate::raw::{Asked, RawConnection, RawResponse};
use crate::upstream::Received;

/// What is not answered by then is not going to be.
const PATIENCE: Duration = Duration::from_secs(5);
/// For what might still arrive behind an answer.
const SETTLING: Duration = Duration::from_millis(20);

/// A request that can still be written into.
#[derive(Clone)]
pub(super) struct Draft {
    start: String,
    lines: Vec<Vec<u8>>,
    rest: Vec<u8>,
}

impl Draft {
    pub(super) fn new(method: &str, target: &str) -> Self {
        Self { start: format!("{method} {target} HTTP/1.1"), lines: Vec::new(), rest: Vec::new() }
    }

    pub(super) fn start(mut self, line: &str) -> Self {
        self.start = line.to_owned();
        self
    }

    /// The same with the method POST.
    pub(super) fn post(mut self) -> Self {
        self.start = self.start.replacen("GET ", "POST ", 1);
        self
    }

    pub(super) fn line(self, line: &str) -> Self {
        self.line_of_bytes(line.as_bytes())
    }

    pub(super) fn line_of_bytes(mut self, line: &[u8]) -> Self {
        self.lines.push(line.to_vec());
        self
    }

    /// What follows the empty line.
    pub(super) fn rest(mut self, bytes: &str) -> Self {
        self.rest = bytes.as_bytes().to_vec();
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.start.clone().into_bytes();
        for line in &self.lines {
            bytes.extend_from_slice(b"\r\n");
            bytes.extend_from_slice(line);
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&self.rest);
        bytes
    }
}

/// What must become of an attack.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// It arrives just as its control, which has its status.
    Clean,
    /// The status, and the code where the answer is ours; nothing arrives.
    Refused(u16, &'static str),
    /// The same, and the connection is closed behind it: nobody knows where the next request would begin.
    Closed(u16, &'static str),
}

pub(super) struct Wire {
    pub(super) name: String,
    pub(super) control: Draft,
    /// Whom the application takes the control for.
    pub(super) user: Option<&'static str>,
    pub(super) attack: Vec<u8>,
    pub(super) wanted: Wanted,
}

/// What came of one request.
struct Seen {
    answer: Option<RawResponse>,
    is_closed: bool,
    arrived: Vec<Received>,
}

impl Wire {
    pub(super) async fn run(&self, site: &Site) -> Outcome {
        let mut problems = Vec::new();
        let control = send(site, &self.control.bytes(), false).await;
        let status = control.status();
        if !matches!(status, 101 | 200) || control.arrived.len() != 1 {
            problems.push(format!("the control: {status} {}, {} arrived", control.code(), control.arrived.len()));
        }
        let user = control.arrived.first().and_then(|request| request.one("X-Forwarded-User").map(str::to_owned));
        if user.as_deref() != self.user {
            problems.push(format!("the control arrived as {user:?}"));
        }
        if self.attack == self.control.bytes() {
            problems.push("the attack is its control".to_owned());
        }
        let attack = send(site, &self.attack, matches!(self.wanted, Wanted::Closed(..))).await;
        problems.extend(self.judge(&control, &attack));
        Outcome {
            name: self.name.clone(),
            answer: attack.shown(),
            fools: None,
            control: Some(format!("{status}, arrives as {}", self.user.unwrap_or("nobody"))),
            problems,
        }
    }

    fn judge(&self, control: &Seen, attack: &Seen) -> Option<String> {
        let told = || format!("{} instead of {:?}", attack.shown(), self.wanted);
        match self.wanted {
            Wanted::Clean => {
                let arrived = |seen: &Seen| seen.arrived.iter().map(essence).collect::<Vec<_>>();
                let is_same = attack.status() == control.status() && arrived(attack) == arrived(control);
                (!is_same).then(|| format!("{}: {:?}, not {:?}", told(), arrived(attack), arrived(control)))
            }
            Wanted::Refused(status, code) | Wanted::Closed(status, code) => {
                let is_closed = attack.is_closed || !matches!(self.wanted, Wanted::Closed(..));
                let holds =
                    attack.status() == status && attack.code() == code && attack.arrived.is_empty() && is_closed;
                (!holds).then(told)
            }
        }
    }
}

impl Seen {
    /// 0 where nothing was answered.
    fn status(&self) -> u16 {
        self.answer.as_ref().map_or(0, |answer| answer.status)
    }

    /// Empty where the answer is not ours.
    fn code(&self) -> String {
        let Some(answer) = &self.answer else { return String::new() };
        let of_page = || {
            let text = answer.text();
            let (_, behind) = text.split_once("<dd>")?;
            Some(behind.split_once('<')?.0.to_owned())
        };
        let json = serde_json::from_slice::<serde_json::Value>(&answer.body).ok();
        let of_json = json.and_then(|json| json["code"].as_str().map(str::to_owned));
        of_json.or_else(of_page).unwrap_or_default()
    }

    fn shown(&self) -> String {
        let mut shown = match (self.arrived.is_empty(), self.code().as_str()) {
            (false, _) => format!("{}, arrives", self.status()),
            (true, "") => self.status().to_string(),
            (true, code) => format!("{} {code}", self.status()),
        };
        if self.is_closed {
            shown.push_str(", closed");
        }
        shown
    }
}

/// What an application can see of a request, but for what is another each time.
fn essence(request: &Received) -> (String, Vec<String>, String, Vec<(String, String)>) {
    let lines = request.header_lines.iter().map(|line| match line.split_once(':') {
        Some((name, _)) if matches!(&*name.to_ascii_lowercase(), "x-request-id" | "x-samlgate-jwt-assertion") => {
            name.to_owned()
        }
        _ => line.clone(),
    });
    let mut lines: Vec<String> = lines.collect();
    lines.sort_unstable();
    let target = format!("{} {}", request.method, request.target);
    (target, lines, request.body.clone(), request.trailers.clone())
}

async fn send(site: &Site, bytes: &[u8], waits_for_close: bool) -> Seen {
    site.world.upstream.take_requests();
    let mut connection = RawConnection::open(site.world.gateway.address()).await.expect("samlgate accepts");
    // It may have hung up in the middle of what we write.
    let _ = connection.send(bytes).await;
    let asked = if bytes.starts_with(b"HEAD ") { Asked::Head } else { Asked::Other };
    let answer = timeout(PATIENCE, connection.response(asked)).await.ok().and_then(Result::ok).flatten();
    let is_closed = waits_for_close
        && timeout(PATIENCE, connection.response(asked)).await.is_ok_and(|next| !matches!(next, Ok(Some(_))));
    let mut arrived = site.world.upstream.take_requests();
    if arrived.is_empty() && !is_closed {
        tokio::time::sleep(SETTLING).await;
        arrived = site.world.upstream.take_requests();
    }
    Seen { answer, is_closed, arrived }
}
