//! Which headers tell the application who the user is.

use super::{Word, accept};
use crate::check;
use crate::settings::{Claim, HeaderPreset, IdentityHeaders};
use crate::source::Findings;
use crate::table::{Choices, Key, Kind, Section, Table};

pub(crate) static TABLE: Table = Table {
    title: "identity_headers",
    about: "Client copies of every header that is named here, or that the preset names, are removed from every request.",
    keys: &[
        Key::optional(
            "preset",
            Kind::Choice(PRESETS.words),
            "`x-forwarded`",
            "`x-forwarded`: X-Forwarded-User, -Email, -Preferred-Username, -Groups; `remote-user`: Remote-User, ...; \
             `x-auth-request`: X-Auth-Request-User, ...",
        ),
        Key::optional(
            "set",
            Kind::Texts,
            "none",
            "further headers, as a map of header name to claim: `user`, `email`, `username`, `first_name`, `last_name`, \
             `groups`, `name_id`, or `attribute:` and the name of a SAML attribute",
        ),
        Key::optional(
            "groups_filter",
            Kind::List(&Kind::Text),
            "the groups that rules name",
            "only these groups go into the groups header once it would pass 4 kB",
        ),
    ],
    later: &[],
};

static PRESETS: Word<HeaderPreset> = Word {
    words: &Choices { values: &["x-forwarded", "remote-user", "x-auth-request"], later: &[] },
    meanings: &HeaderPreset::ALL,
};

pub(crate) fn read(root: &Section<'_>, findings: &mut Findings) -> IdentityHeaders {
    let section = root.section("identity_headers");
    let preset = PRESETS.meaning(section.choice("preset")).unwrap_or(HeaderPreset::XForwarded);
    let mut set: Vec<(String, Claim)> = Vec::new();
    for (name, claim) in section.map("set") {
        let place = || section.place_in_map("set", name);
        accept(check::header_name(name), place, findings);
        let cure = "choose another name, or remove it";
        if preset.headers().iter().any(|(of_preset, _)| of_preset.eq_ignore_ascii_case(name)) {
            findings.refuse(place(), "is a header that the preset sets already", cure);
        }
        if set.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            findings.refuse(place(), "is set twice: header names are the same in any case", cure);
        }
        match read_claim(claim) {
            Some(claim) => set.push((name.to_owned(), claim)),
            None => findings.refuse(
                place(),
                "is no claim",
                "write user, email, username, first_name, last_name, groups, name_id, or attribute:<Name>",
            ),
        }
    }
    let groups_filter = section.texts("groups_filter").into_iter().map(|(_, group)| group.to_owned()).collect();
    IdentityHeaders { preset, set, groups_filter }
}

fn read_claim(text: &str) -> Option<Claim> {
    Some(match text {
        "user" => Claim::User,
        "email" => Claim::Email,
        "username" => Claim::Username,
        "first_name" => Claim::FirstName,
        "last_name" => Claim::LastName,
        "groups" => Claim::Groups,
        "name_id" => Claim::NameId,
        other => Claim::Attribute(other.strip_prefix("attribute:").filter(|name| !name.is_empty())?.to_owned()),
    })
}
