//! The suite of other proxies in front, which ask samlgate about each request: Debian's nginx and Caddy with the samples of
//! `docs/fronts`, and nginx behind HAProxy. `tests/fronts/run` installs them and runs the binary `fronts`.

mod cases;
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
    only: Vec<Kind>,

    /// Names every check and runs none
    #[arg(long)]
    list: bool,
}

/// What stands in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Nginx,
    /// nginx, with HAProxy before it.
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

impl Kind {
    fn checks(self) -> Vec<Check> {
        match self {
            Self::Nginx => cases!(Kind::Nginx),
            Self::BehindHaproxy => cases!(Kind::BehindHaproxy),
            Self::Caddy => cases!(Kind::Caddy),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }
}

pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let kinds = Kind::value_variants().iter().filter(|kind| arguments.only.is_empty() || arguments.only.contains(kind));
    if arguments.list {
        for kind in kinds {
            kind.checks().iter().for_each(|(claim, _)| println!("{}: {claim}", kind.name()));
        }
        return ExitCode::SUCCESS;
    }
    suite::run(kinds.map(|kind| (kind.name(), kind.checks())))
}
