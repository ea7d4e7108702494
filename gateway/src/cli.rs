//! The command line.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use config::{ConfigError, ConfigErrors, Loaded, Settings, Trust, Warning};
use saml_core::{NewKeys, SloUrl};
use serde_json::json;

use crate::reload::Source;
use crate::server::Start;
use crate::tls::LiveCertificate;
use crate::upstream::Upstreams;
use crate::{explain, idps, keys, keys_command, server, sessions_command, tokens_command};

#[derive(Parser)]
#[command(
    name = "samlgate",
    version,
    about = "SAML single sign-on in front of any web application",
    long_about = "samlgate is a reverse proxy that puts SAML single sign-on in front of any web application.\n\
                  Nobody reaches the application without a verified session; the application learns who the\n\
                  user is from headers that it can trust.\n\n\
                  Begin with `samlgate check --config samlgate.yaml`: it says what is wrong in the settings and\n\
                  what to enter at the identity provider. Then `samlgate run`.",
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until a signal ends it
    ///
    /// SIGTERM closes the listener, lets requests under way finish for at most `shutdown_timeout`, then
    /// ends with 0. SIGINT ends at once. SIGHUP reads the settings again.
    Run {
        #[command(flatten)]
        config: ConfigFile,
        /// Take the listeners of the running samlgate over, which then finishes its requests and ends; both need
        /// `upgrade_socket` in their settings
        #[arg(long)]
        upgrade: bool,
    },
    /// Check the settings without binding a port
    ///
    /// All mistakes are shown together, each with its place, its value and what to write instead; any
    /// mistake ends with 1. Without one, the values to enter at the identity provider are shown.
    Check {
        #[command(flatten)]
        config: ConfigFile,
        /// Write one JSON object, for programs
        #[arg(long)]
        json: bool,
    },
    /// Say why a captured response is accepted or refused
    ///
    /// Walks the verification aloud: each check, what was seen, what was wanted, and what to change at the
    /// identity provider. Nothing is sent, stored or used up. The facts are taken from the settings
    /// (`--config`) or given one by one.
    Explain(explain::Arguments),
    /// Make the gateway's own keys, and rotate them
    #[command(subcommand)]
    Keys(keys_command::Command),
    /// Make tokens for machines
    #[command(subcommand)]
    Tokens(tokens_command::Command),
    /// Show who is signed in, and end sessions, of the gateway that runs on this machine
    #[command(subcommand)]
    Sessions(sessions_command::Command),
    /// Show the version
    Version,
}

#[derive(Args)]
pub(crate) struct ConfigFile {
    /// The settings file; variables such as SAMLGATE_LISTEN or SAMLGATE_SESSION__MAX_AGE go before it
    #[arg(long, value_name = "FILE", env = "SAMLGATE_CONFIG", default_value = "samlgate.yaml")]
    pub(crate) config: PathBuf,
}

/// Runs one command.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody reads a closed terminal.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match cli.command {
        Command::Run { config: ConfigFile { config }, upgrade } => {
            serve(&config, if upgrade { Start::Upgrade } else { Start::Afresh })
        }
        Command::Check { config: ConfigFile { config }, json } => check(&config, json),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Keys(command) => keys_command::run(command),
        Command::Tokens(command) => tokens_command::run(&command),
        Command::Sessions(command) => sessions_command::run(command),
        Command::Version => {
            println!("samlgate {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}

pub(crate) fn load(file: &Path) -> Result<Loaded, ConfigErrors> {
    config::load(file, config::process_environment())
}

fn serve(file: &Path, start: Start) -> ExitCode {
    match load(file) {
        Ok(Loaded { settings, warnings, files }) => {
            warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            server::run(settings, Source { file: file.to_owned(), files }, start)
        }
        Err(mistakes) => {
            eprintln!("{mistakes}");
            ExitCode::FAILURE
        }
    }
}

/// What only trying finds out: keys that do not fit, files that others can read.
fn try_out(file: &Path, loaded: Loaded) -> Result<Loaded, ConfigErrors> {
    let mistake = |path: &str, problem: String, cure: &str| ConfigErrors {
        file: Some(file.to_owned()),
        errors: vec![ConfigError {
            path: path.to_owned(),
            line: None,
            value: None,
            problem,
            cure: cure.to_owned(),
            code: None,
        }],
    };
    let certificate = loaded.settings.tls.as_ref().map(LiveCertificate::read).transpose();
    certificate
        .map_err(|error| mistake("tls", error.to_string(), "give a certificate chain and its key, both as PEM"))?;
    Upstreams::new(&loaded.settings.upstreams)
        .map_err(|error| mistake(&error.path(), error.problem.clone(), error.cure))?;
    let (_, warnings) = keys::Keys::load(&loaded.settings)
        .map_err(|error| mistake("keys_dir", error.to_string(), "see `samlgate keys generate --help`"))?;
    let warnings = warnings.into_iter().map(|warning| Warning {
        path: "keys_dir".to_owned(),
        line: None,
        problem: warning.to_string(),
        cure: "for a trial it can stay so".to_owned(),
    });
    Ok(Loaded { warnings: loaded.warnings.into_iter().chain(warnings).collect(), ..loaded })
}

fn check(file: &Path, json: bool) -> ExitCode {
    let outcome = load(file).and_then(|loaded| try_out(file, loaded));
    let text = match (&outcome, json) {
        (Ok(Loaded { settings, warnings, .. }), false) => approve(file, settings, warnings),
        (Err(mistakes), false) => mistakes.to_string(),
        (Ok(Loaded { settings, warnings, .. }), true) => json!({
            "ok": true,
            "errors": [],
            "warnings": warnings,
            "sp_entity_id": settings.service_provider.entity_id.as_str(),
            "acs_url": settings.service_provider.acs_url.as_str(),
            "slo_url": settings.single_logout().map(SloUrl::as_str),
        })
        .to_string(),
        (Err(mistakes), true) => json!({ "ok": false, "errors": mistakes.errors, "warnings": [] }).to_string(),
    };
    println!("{text}");
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A short summary, with what to enter at the other side.
fn approve(file: &Path, settings: &Settings, warnings: &[Warning]) -> String {
    let mut lines: Vec<String> = warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    lines.push(format!("{}: no mistakes", file.display()));
    lines.push(format!(
        "{} route(s), {} upstream(s), public listener {}, admin listener {}",
        settings.routes.len(),
        settings.upstreams.len(),
        settings.listen,
        settings.admin_listen
    ));
    lines.push(String::new());
    lines.push("Enter at the identity provider (JumpCloud: SSO Applications, your application, SSO tab):".to_owned());
    lines.push(format!("  SP Entity ID   {}", settings.service_provider.entity_id));
    lines.push(format!("  ACS URL        {}", settings.service_provider.acs_url));
    if let Some(slo_url) = settings.single_logout() {
        lines.push(format!("  SLO URL        {slo_url}   (by HTTP-Redirect and HTTP-POST, signed)"));
    }
    for idp in &settings.identity_providers {
        lines.push(format!("  IdP Entity ID  {}   (`{}`)", idp.entity_id, idp.id));
        if !idp.email_domains.is_empty() {
            lines.push(format!("  speaks for     {}", idp.email_domains.join(", ")));
        }
        if let Trust::Fetched(source) = &idp.trust {
            lines.push(format!("  its metadata   {}, every {}", idps::metadata_place(source), minutes(source.refresh)));
            lines.extend(keys_that_may_come(&source.new_keys));
        }
        for certificate in idp.certificates() {
            lines.push(format!(
                "  its key        {} {}, until {}",
                certificate.key_description(),
                certificate.fingerprint(),
                certificate.not_after()
            ));
        }
    }
    lines.join("\n")
}

fn keys_that_may_come(new_keys: &NewKeys) -> Vec<String> {
    match new_keys {
        NewKeys::Listed(keys) => keys.iter().map(|key| format!("  may sign with  {key}")).collect(),
        NewKeys::Accept => vec!["  may sign with  whatever its metadata says".to_owned()],
    }
}

fn minutes(duration: Duration) -> String {
    format!("{} min", duration.as_secs() / 60)
}
