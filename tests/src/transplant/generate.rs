//! Every document that comes of cutting a subtree out of one document and putting it somewhere.

use roxmltree::{Document, Node};

/// The elements of a document by their ranges, and every place between two children.
pub struct Map {
    pub elements: Vec<(usize, usize)>,
    pub places: Vec<usize>,
}

impl Map {
    pub fn of(xml: &str) -> Self {
        let document = Document::parse(xml).expect("a base is XML");
        let elements: Vec<Node<'_, '_>> = document.descendants().filter(Node::is_element).collect();
        let mut places = Vec::new();
        for element in &elements {
            places.extend(element.children().map(|child| child.range().start));
            // Before the end tag.
            let end = element.range().end;
            places.push(xml[..end].rfind("</").expect("a base has no empty-element tags"));
        }
        places.sort_unstable();
        places.dedup();
        let elements = elements.iter().map(|element| (element.range().start, element.range().end)).collect();
        Self { elements, places }
    }
}

/// What is changed in a part of a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Nothing,
    /// The subtree where it was put.
    Moved,
    /// Everything else.
    Rest,
}

const PARTS: [Part; 3] = [Part::Nothing, Part::Moved, Part::Rest];

/// A change of text, such as one name for another.
pub type Edit<'a> = &'a dyn Fn(&str) -> String;

/// Every copy and every move of a subtree of `xml` to every place in it, with and without new IDs, with
/// and without the edit, each in the subtree or around it. A document that a change leaves as it was is not
/// shown again.
pub fn within(xml: &str, edit: Edit<'_>, new_ids: Option<Edit<'_>>, show: &mut dyn FnMut(&str)) {
    let map = Map::of(xml);
    for &(start, end) in &map.elements {
        for &place in &map.places {
            copied(xml, (start, end), place, edit, new_ids, show);
            if place < start || place > end {
                moved(xml, (start, end), place, edit, new_ids, show);
            }
        }
    }
}

fn copied(
    xml: &str,
    (start, end): (usize, usize),
    place: usize,
    edit: Edit<'_>,
    new_ids: Option<Edit<'_>>,
    show: &mut dyn FnMut(&str),
) {
    varied([&xml[..place], &xml[start..end], &xml[place..]], edit, new_ids, show);
}

fn moved(
    xml: &str,
    (start, end): (usize, usize),
    place: usize,
    edit: Edit<'_>,
    new_ids: Option<Edit<'_>>,
    show: &mut dyn FnMut(&str),
) {
    let (before, after) = if place < start {
        (xml[..place].to_owned(), format!("{}{}", &xml[place..start], &xml[end..]))
    } else {
        (format!("{}{}", &xml[..start], &xml[end..place]), xml[place..].to_owned())
    };
    varied([&before, &xml[start..end], &after], edit, new_ids, show);
}

/// The document of three parts, the middle one being the subtree, in all its variants.
fn varied(parts: [&str; 3], edit: Edit<'_>, new_ids: Option<Edit<'_>>, show: &mut dyn FnMut(&str)) {
    for edited in PARTS {
        let Some(changed) = apply(parts.map(str::to_owned), edited, edit) else { continue };
        for renamed in PARTS {
            match new_ids {
                Some(new_ids) => {
                    if let Some(changed) = apply(changed.clone(), renamed, new_ids) {
                        show(&changed.concat());
                    }
                }
                None if renamed == Part::Nothing => show(&changed.concat()),
                None => {}
            }
        }
    }
}

/// `None` where the change changes nothing.
fn apply(parts: [String; 3], part: Part, change: Edit<'_>) -> Option<[String; 3]> {
    let [before, moved, after] = parts;
    let old = (before.len(), moved.len(), after.len());
    let changed = match part {
        Part::Nothing => return Some([before, moved, after]),
        Part::Moved => [before.clone(), change(&moved), after.clone()],
        Part::Rest => [change(&before), moved.clone(), change(&after)],
    };
    let same = old == (changed[0].len(), changed[1].len(), changed[2].len())
        && changed[0] == before
        && changed[1] == moved
        && changed[2] == after;
    (!same).then_some(changed)
}

/// Every subtree of `from` put into every place of `into`, and in place of every element of it.
pub fn across(from: &str, into: &str, show: &mut dyn FnMut(&str)) {
    let (subtrees, map) = (Map::of(from).elements, Map::of(into));
    for (start, end) in subtrees {
        let subtree = &from[start..end];
        for &place in &map.places {
            show(&[&into[..place], subtree, &into[place..]].concat());
        }
        for &(old_start, old_end) in &map.elements {
            show(&[&into[..old_start], subtree, &into[old_end..]].concat());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(xml: &str, edit: Edit<'_>) -> Vec<String> {
        let mut found = Vec::new();
        within(xml, edit, None, &mut |document| found.push(document.to_owned()));
        found.sort();
        found
    }

    #[test]
    fn puts_every_subtree_into_every_place() {
        let found = all("<a><b></b></a>", &str::to_owned);
        for wanted in ["<a><b><b></b></b></a>", "<a><b></b><b></b></a>", "<a><b><a><b></b></a></b></a>"] {
            assert!(found.iter().any(|document| document == wanted), "{wanted}: {found:?}");
        }
        assert!(all("<a><b>x</b><c></c></a>", &str::to_owned).contains(&"<a><c><b>x</b></c></a>".to_owned()));
    }

    #[test]
    fn edits_the_subtree_or_what_is_around_it() {
        let found = all("<a><b>x</b><c></c></a>", &|text| text.replace('x', "y"));
        for wanted in ["<a><b>x</b><c><b>y</b></c></a>", "<a><b>y</b><c><b>x</b></c></a>", "<a><c><b>y</b></c></a>"] {
            assert!(found.iter().any(|document| document == wanted), "{wanted}: {found:?}");
        }
    }

    #[test]
    fn puts_subtrees_of_another_document_beside_and_in_place() {
        let mut found = Vec::new();
        across("<x></x>", "<a><b></b></a>", &mut |document| found.push(document.to_owned()));
        for wanted in ["<x></x>", "<a><x></x></a>", "<a><x></x><b></b></a>", "<a><b><x></x></b></a>"] {
            assert!(found.iter().any(|document| document == wanted), "{wanted}: {found:?}");
        }
    }
}
