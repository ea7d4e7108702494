//! The suite of other proxies in front: Debian's nginx and Caddy with the samples of `docs/fronts`, which ask samlgate about
//! each request, nginx behind HAProxy, HAProxy before two samlgates that change under load, and Prometheus, which scrapes one.
//! `tests/fronts/run` installs them and runs the binary `fronts`.

mod cases;
mod changes;
mod prometheus;
mod server;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::suite::{self, Check, checks};

/// samlgate asked by real proxies.
#[derive(Parser)]
#[command(name = "fronts")]
struct Arguments {
    /// Only this one; may be given again
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Part>,

    /// Names every check and runs none
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Nginx,
    /// nginx, with HAProxy before it.
    BehindHaproxy,
    Caddy,
    /// What changes under load, behind HAProxy and without it.
    Changes,
    /// What a Prometheus server learns.
    Prometheus,
}

/// What stands in front and asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nginx,
    BehindHaproxy,
    Caddy,
}

macro_rules! cases {
    ($kind:expr) => {
        checks![
            "who comes for a page is led to the login and back to it, and the application learns who it is" => cases::sign_in($kind),
            "a background request gets 401, and no login" => cases::background($kind),
            "who is in none of the groups gets 403" => cases::excluded($kind),
            "a public route names nobody, whatever the client says" => cases::public($kind),
            "what the client says of itself never reaches the application" => cases::forged_identity($kind),
            "a stranger's X-Forwarded-Uri, -Method and -Host count for nothing" => cases::forged_request($kind),
            "a path that can be read in two ways reaches nobody" => cases::ambiguous($kind),
            "a Host of another name reaches nobody" => cases::other_host($kind),
            "no upgrade but to WebSocket reaches the application" => cases::upgrades($kind),
            "a WebSocket is opened by pages of its own host alone" => cases::websocket($kind),
            "no header that Connection names hides who it is" => cases::hidden_identity($kind),
            "six kilobytes of cookies are no failure" => cases::large_cookies($kind),
            "samlgate's own cookies do not reach the application" => cases::cookies($kind),
            "a machine enters with its token, which does not reach the application" => cases::machine($kind),
            "the verify endpoints are closed to strangers" => cases::closed($kind),
            "the client's address reaches samlgate" => cases::client_address($kind),
            "a sign-out ends it" => cases::sign_out($kind),
            "without samlgate nobody reaches the application" => cases::samlgate_gone($kind),
        ]
    };
}

impl Part {
    fn checks(self) -> Vec<Check> {
        match self {
            Self::Nginx => cases!(Kind::Nginx),
            Self::BehindHaproxy => cases!(Kind::BehindHaproxy),
            Self::Caddy => cases!(Kind::Caddy),
            Self::Changes => checks![
                "ten reloads, two of them refused, and another process: no request fails" => changes::reloads_and_an_upgrade(),
                "a rolling restart of two replicas behind HAProxy: no request fails" => changes::a_rolling_restart(),
            ],
            Self::Prometheus => checks![
                "Prometheus has every metric of the documents, and each of them has counted" => prometheus::every_metric_is_scraped(),
                "whatever strangers ask for, they make no series" => prometheus::strangers_make_no_series(),
            ],
        }
    }

    fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }
}

pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let parts = Part::value_variants().iter().filter(|part| arguments.only.is_empty() || arguments.only.contains(part));
    if arguments.list {
        for part in parts {
            part.checks().iter().for_each(|(claim, _)| println!("{}: {claim}", part.name()));
        }
        return ExitCode::SUCCESS;
    }
    suite::run(parts.map(|part| (part.name(), part.checks())))
}
