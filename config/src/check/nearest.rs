//! The known name that somebody may have meant.

/// The nearest of `known`, where it is near enough to be a slip.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name: Vec<char> = name.chars().take(MAX_COMPARED).map(|c| c.to_ascii_lowercase()).collect();
    let distance = |known: &str| edits(&name, &known.to_ascii_lowercase().chars().collect::<Vec<_>>());
    let limit = (name.len() / 3).max(1);
    known.iter().map(|known| (distance(known), *known)).filter(|(edits, _)| *edits <= limit).min().map(|found| found.1)
}

const MAX_COMPARED: usize = 100;

/// Levenshtein's distance, row by row.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.iter().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (b, above) in to.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(a != b)).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{edits, nearest};

    #[test]
    fn counts_the_edits_between_two_words() {
        let count = |a: &str, b: &str| edits(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("abc", "abc", 0),
        ] {
            assert_eq!(count(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["routes", "upstreams", "listen"];
        assert_eq!(nearest("route", &known), Some("routes"));
        assert_eq!(nearest("Listen", &known), Some("listen"));
        assert_eq!(nearest("colour", &known), None);
    }
}
