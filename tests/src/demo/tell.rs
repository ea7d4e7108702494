//! What the demo prints.

use super::Demo;
use crate::idp::User;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    Ansi,
    None,
}

#[derive(Debug, Clone, Copy)]
enum Style {
    Heading,
    Address,
    Soft,
}

/// A closed pipe is no reason to stop the demo, so a line that cannot be printed is dropped.
pub(super) struct Teller {
    colour: Colour,
}

impl Teller {
    pub(super) fn new(colour: Colour) -> Self {
        Self { colour }
    }

    pub(super) fn making_keys(&self) {
        print(&self.styled(Style::Soft, "Making keys and starting ..."));
    }

    pub(super) fn stopping(&self) {
        print(&self.styled(Style::Soft, "\nStopping ..."));
    }

    pub(super) fn welcome(&self, demo: &Demo) {
        let application = demo.gateway.url("/");
        print("");
        print(&format!("  {}  {}", self.styled(Style::Heading, "Open"), self.styled(Style::Address, &application)));
        print("");
        self.people(&User::demo_users());
        self.things_to_try(demo);
        print(&format!("  {}", self.styled(Style::Heading, "Behind it")));
        print(&format!("  pretend JumpCloud  {}", self.styled(Style::Address, demo.idp.origin())));
        let metrics = format!("http://{}/metrics", demo.gateway.admin_address());
        print(&format!("  metrics            {}", self.styled(Style::Address, &metrics)));
        print(&format!("  settings           {}", demo.gateway.config_file().display()));
        print("");
        print(&self.styled(Style::Soft, "  Ctrl-C ends everything."));
    }

    fn people(&self, users: &[User]) {
        print(&format!("  {}", self.styled(Style::Heading, "Who can sign in at the pretend JumpCloud")));
        for user in users {
            let groups = user.groups.join(", ");
            print(&format!(
                "  {:<18} {:<14} {}",
                user.email,
                user.password,
                self.styled(Style::Soft, &meaning(&groups))
            ));
        }
        print("");
    }

    fn things_to_try(&self, demo: &Demo) {
        print(&format!("  {}", self.styled(Style::Heading, "What to try")));
        let admin = demo.gateway.url("/admin");
        let things = [
            ("a deep link: after sign-in you are where you wanted to go", demo.gateway.url("/reports/2026?page=2")),
            ("as ben: only the group admins may open this", admin),
            ("nobody needs to sign in here, and no identity arrives", demo.gateway.url("/public")),
            ("a programming interface answers 401 in JSON, never a redirect", demo.gateway.url("/api/orders")),
            (
                "set Sign to \"Assertion\" as JumpCloud has it, sign out, sign in: refused",
                format!("{}/admin", demo.idp.origin()),
            ),
            ("sign out", demo.gateway.url("/saml/logout")),
        ];
        for (what, address) in things {
            print(&format!("  {}", self.styled(Style::Address, &address)));
            print(&format!("      {what}"));
        }
        print("");
    }

    fn styled(&self, style: Style, text: &str) -> String {
        let code = match (self.colour, style) {
            (Colour::None, _) => return text.to_owned(),
            (Colour::Ansi, Style::Heading) => "1",
            (Colour::Ansi, Style::Address) => "36",
            (Colour::Ansi, Style::Soft) => "2",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

fn meaning(groups: &str) -> String {
    match groups {
        "admins, engineers" => format!("{groups}: may open everything"),
        "engineers" => format!("{groups}: may not open /admin"),
        _ => format!("{groups}: not bound to the application, so JumpCloud itself says no"),
    }
}

fn print(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{line}");
}
