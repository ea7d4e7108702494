//! The suite of session stores: the contract of a store against each kind of Redis, what an outage does, and what two
//! replicas of samlgate make of sharing one. `tests/stores/run` installs Redis and runs the binary `stores`.

mod contract;
mod outage;
mod redis;
mod relay;
mod replicas;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::suite::{self, Check, checks};

/// Session stores against real servers.
#[derive(Parser)]
#[command(name = "stores")]
struct Arguments {
    /// Only this part; may be given again
    #[arg(long, value_enum, value_name = "NAME")]
    only: Vec<Part>,

    /// Names every check and runs none
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Single,
    Secured,
    Cluster,
    Sentinel,
    Replicas,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().expect("no part is hidden").get_name().to_owned()
    }

    fn checks(self) -> Vec<Check> {
        match self {
            Self::Single => checks![
                "one Redis keeps the contract of a store" => contract::kept_by_one(),
                "an assertion is claimed once" => contract::claims_once(),
                "nothing in it names a person, and no ticket is in it" => contract::names_nobody(),
                "a session that strangers write there is none, nor another application's" => contract::strangers_records(),
                "what is altered in it is no session" => contract::altered_records(),
                "killed, it is away at once, and there again with what it kept" => outage::killed(),
                "stopped, it is away in time, and a crowd does not wait one after the other" => outage::stopped(),
            ],
            Self::Secured => checks![
                "Redis with a user, a password and TLS keeps the contract" => contract::kept_by_a_secured_one(),
                "a wrong password and a strange authority are told" => contract::refused_connections(),
            ],
            Self::Cluster => checks![
                "a cluster of three keeps the contract of a store" => contract::kept_by_a_cluster(),
                "a node that dies and comes back is found again" => outage::cluster_node_killed(),
            ],
            Self::Sentinel => checks![
                "a master with sentinels keeps the contract of a store" => contract::kept_by_sentinels(),
                "a master that dies is followed by another, and sessions live on" => outage::master_killed(),
            ],
            Self::Replicas => checks![
                "a login begun at one replica ends at the other, and both know the session" => replicas::share_logins(),
                "a sign-out at one is one at the other within a second" => replicas::share_sign_outs(),
                "a revocation of a user, an e-mail, a group or all holds at both within a second" => replicas::share_revocations(),
                "a WebSocket open through each closes within a second of a revocation at one, others stay open" => replicas::close_websockets(),
                "a response posted to both opens one session" => replicas::claim_together(),
                "Redis away: cached sessions go on, others get 503, sign-outs hold afterwards" => replicas::outlive_an_outage(),
                "Redis away for 30 s under load of 500 sessions behind HAProxy: no request of a cached session fails, nobody is taken for another, revocations hold afterwards" => replicas::carry_load_through_an_outage(),
                "cached sessions end with session.outage_limit" => replicas::limit_an_outage(),
                "a replica that is killed forgets nobody" => replicas::forget_nobody(),
                "a replica dies after the start, before the ACS, after the claim, after the session is written: one silent round at most" => replicas::die_at_each_point(),
                "a replica dies after the answer of the ACS: no round at all" => replicas::die_after_the_answer(),
                "a replica that starts while Redis is away is not ready until it comes" => replicas::wait_for_redis(),
                "a user has at most session.max_per_user sessions" => replicas::limit_users(),
                "a form kept at one replica is sent at the other, and once" => replicas::share_forms(),
                "Redis away: a form is not kept, and its user is told before the login" => replicas::keep_no_form_in_an_outage(),
            ],
        }
    }
}

pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let parts = Part::value_variants().iter().filter(|part| arguments.only.is_empty() || arguments.only.contains(part));
    if arguments.list {
        parts.flat_map(|part| part.checks()).for_each(|(claim, _)| println!("{claim}"));
        return ExitCode::SUCCESS;
    }
    suite::run(parts.map(|part| (part.name(), part.checks())))
}
