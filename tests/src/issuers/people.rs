//! Who signs in: names and groups that are hard to carry through XML, base64, forms and headers.

use serde::Serialize;

/// Their password is their user name.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Person {
    pub(super) username: String,
    pub(super) id: String,
    pub(super) email: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) groups: Vec<String>,
}

impl Person {
    fn new(username: &str, id: &str, [first_name, last_name]: [&str; 2], groups: &[&str]) -> Self {
        Self {
            username: username.to_owned(),
            id: id.to_owned(),
            email: format!("{username}@people.example"),
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        }
    }
}

/// The first is as plain as can be; then come the hard ones; the rest, up to `count`, vary.
pub(super) fn people(count: usize) -> Vec<Person> {
    let mut people = vec![
        Person::new("ada", "5f1e0000000000000000ada1", ["Ada", "Lovelace"], &["admins", "engineers"]),
        Person::new(
            "zoe",
            "Zoë-Ångström-李",
            ["Zoë 😀", "Ångström-李 e\u{301}"],
            &["Ingénieurs", "研究開発", "Ωmega", "🦀"],
        ),
        Person::new(
            "eve",
            r#"e&v<e>'"&amp;"#,
            [r#"<b>&"'Eve"#, "O'Brien <!-- x --> ]]> &#x41;"],
            &["R&D <core>", r#"quotes "'"#, "a,b", "100%", "&lt;", "two  spaces"],
        ),
        Person::new("nil", "5f1e000000000000000000f1", ["Nil", "Groupless"], &[]),
        Person::new("max", "5f1e000000000000000000a9", ["Max", "Member"], &[]),
    ];
    people[4].groups = (0..120).map(|number| format!("team-{number:03} é")).collect();
    people.extend((people.len()..count).map(varied));
    people.truncate(count.max(1));
    people
}

fn varied(number: usize) -> Person {
    const SCRIPTS: [&str; 8] = ["Åse", "Łukasz", "Νίκη", "Ольга", "דנה", "نور", "さくら", "지우"];
    const MARKS: [&str; 6] = ["&", "<x>", "'", "\"", "&amp;", "]]>"];
    let script = SCRIPTS[number % SCRIPTS.len()];
    let mark = MARKS[number % MARKS.len()];
    let mut person = Person::new(
        &format!("user{number}"),
        &format!("id-{number:04}{mark}"),
        [&format!("{script} {mark}"), &format!("{mark}{script}-{number}")],
        &[],
    );
    person.groups = (0..number * 3 % 40).map(|group| format!("{script} {mark}{group}")).collect();
    person
}

/// The header that carries `value` to the application: what is not printable ASCII, and `%`, percent-encoded.
pub(super) fn header(value: &str) -> String {
    encoded(value, b"%")
}

/// The header that carries a list: inside a value a comma is encoded as well.
pub(super) fn list_header(values: &[String]) -> String {
    values.iter().map(|value| encoded(value, b"%,")).collect::<Vec<_>>().join(",")
}

fn encoded(value: &str, also: &[u8]) -> String {
    let byte = |byte: u8| match (0x20..0x7f).contains(&byte) && !also.contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    value.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_people_come_first_and_all_differ() {
        let people = people(40);
        assert_eq!(people.len(), 40);
        let mut ids: Vec<_> = people.iter().map(|person| &person.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 40);
        assert_eq!(people[4].groups.len(), 120);
    }

    #[test]
    fn headers_are_printable() {
        assert_eq!(header("a b,é%"), "a b,%C3%A9%25");
        assert_eq!(list_header(&["a,b".to_owned(), "c".to_owned()]), "a%2Cb,c");
    }
}
