use proptest::prelude::*;

use super::*;
use crate::xml::{Comments, Limits, XmlText, parse};

fn exclusive(prefixes: &[&str]) -> Method {
    Method::Exclusive { prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect() }
}

/// Canonicalizes the node at `path` (child element numbers) and compares.
#[track_caller]
fn check(xml: &str, node: u32, skip: Option<u32>, method: &Method, expected: &str) {
    let text = XmlText::admit(xml.as_bytes().to_vec()).unwrap();
    let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
    let seen = canonicalize(&document, NodeId(node), skip.map(NodeId), method).unwrap();
    assert_eq!(seen.as_str(), expected);
    let again = parse(XmlText::admit(seen.as_slice().to_vec()).unwrap(), &Limits::RESPONSE, Comments::Refuse).unwrap();
    assert!(is_canonical_form(&again, method));
    if xml.contains("/>") {
        assert!(!is_canonical_form(&document, method), "{xml} holds an empty-element tag");
    }
}

// Canonical XML 1.0 §3.3, Start and End Tags, without the document type that gives defaults.
#[test]
fn writes_start_and_end_tags_as_the_recommendation_shows() {
    let xml = concat!(
        "<doc>\n   <e1   />\n   <e2   ></e2>\n   <e3   name = \"elem3\"   id=\"elem3\"   />\n",
        "   <e4   name=\"elem4\"   id=\"elem4\"   ></e4>\n",
        "   <e5 a:attr=\"out\" b:attr=\"sorted\" attr2=\"all\" attr=\"I'm\"\n      xmlns:b=\"http://www.ietf.org\"\n",
        "      xmlns:a=\"http://www.w3.org\"\n      xmlns=\"http://example.org\"/>\n",
        "   <e6 xmlns=\"\" xmlns:a=\"http://www.w3.org\">\n      <e7 xmlns=\"http://www.ietf.org\">\n",
        "         <e8 xmlns=\"\" xmlns:a=\"http://www.w3.org\">\n            <e9 xmlns=\"\" xmlns:a=\"http://www.ietf.org\"/>\n",
        "         </e8>\n      </e7>\n   </e6>\n</doc>",
    );
    let xml = xml.replace("<e9 xmlns=\"\" xmlns:a=\"http://www.ietf.org\"/>", "<e9 xmlns=\"\" attr=\"default\"/>");
    let expected = concat!(
        "<doc>\n   <e1></e1>\n   <e2></e2>\n   <e3 id=\"elem3\" name=\"elem3\"></e3>\n   <e4 id=\"elem4\" name=\"elem4\"></e4>\n",
        "   <e5 xmlns=\"http://example.org\" xmlns:a=\"http://www.w3.org\" xmlns:b=\"http://www.ietf.org\" attr=\"I'm\" attr2=\"all\" b:attr=\"sorted\" a:attr=\"out\"></e5>\n",
        "   <e6 xmlns:a=\"http://www.w3.org\">\n      <e7 xmlns=\"http://www.ietf.org\">\n         <e8 xmlns=\"\">\n",
        "            <e9 attr=\"default\"></e9>\n         </e8>\n      </e7>\n   </e6>\n</doc>",
    );
    check(&xml, 0, None, &Method::Inclusive, expected);
}

// Canonical XML 1.0 §3.4, Character Modifications and Character References.
#[test]
fn escapes_as_the_recommendation_shows() {
    let xml = concat!(
        "<doc>\n   <text>First line&#x0d;&#10;Second line</text>\n   <value>&#x32;</value>\n",
        "   <compute expr='value>\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"'>valid</compute>\n",
        "   <norm attr=' &apos;   &#x20;&#13;&#xa;&#9;   &apos; '/>\n</doc>",
    );
    let expected = concat!(
        "<doc>\n   <text>First line&#xD;\nSecond line</text>\n   <value>2</value>\n",
        "   <compute expr=\"value>&quot;0&quot; &amp;&amp; value&lt;&quot;10&quot; ?&quot;valid&quot;:&quot;error&quot;\">valid</compute>\n",
        "   <norm attr=\" '    &#xD;&#xA;&#x9;   ' \"></norm>\n</doc>",
    );
    check(xml, 0, None, &Method::Inclusive, expected);
    check(xml, 0, None, &exclusive(&[]), expected);
}

// Exclusive XML Canonicalization 1.0 §2.2: the same element in two surroundings.
#[test]
fn exclusive_form_does_not_depend_on_the_surroundings() {
    let inner = "<n1:elem2 xmlns:n1=\"http://example.net\" xml:lang=\"en\"><n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>";
    let one = format!("<n0:pdu xmlns:n0=\"http://a.example\" xmlns:n9=\"urn:unused\">{inner}</n0:pdu>");
    let two = format!(
        "<n2:pdu xmlns:n1=\"http://example.net\" xmlns:n2=\"http://foo.example\" xmlns:n3=\"ftp://example.org\">{inner}</n2:pdu>"
    );
    check(&one, 1, None, &exclusive(&[]), inner);
    check(&two, 1, None, &exclusive(&[]), inner);
}

#[test]
fn inclusive_form_takes_every_namespace_in_scope() {
    let xml = "<a xmlns=\"urn:d\" xmlns:p=\"urn:p\"><b xmlns:q=\"urn:q\"><c/></b></a>";
    check(xml, 1, None, &Method::Inclusive, "<b xmlns=\"urn:d\" xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"><c></c></b>");
    check(xml, 1, None, &exclusive(&[]), "<b xmlns=\"urn:d\"><c></c></b>");
    check(xml, 1, None, &exclusive(&["p", "gone"]), "<b xmlns=\"urn:d\" xmlns:p=\"urn:p\"><c></c></b>");
}

#[test]
fn the_default_namespace_can_be_in_the_prefix_list_and_be_taken_away() {
    check(
        "<p:a xmlns:p=\"urn:p\" xmlns=\"urn:d\"><p:b/></p:a>",
        0,
        None,
        &exclusive(&[""]),
        "<p:a xmlns=\"urn:d\" xmlns:p=\"urn:p\"><p:b></p:b></p:a>",
    );
    check(
        "<a xmlns=\"urn:d\"><b xmlns=\"\"><c xmlns=\"urn:d\"/></b></a>",
        0,
        None,
        &exclusive(&[]),
        "<a xmlns=\"urn:d\"><b xmlns=\"\"><c xmlns=\"urn:d\"></c></b></a>",
    );
    check("<a xmlns=\"urn:d\"><b xmlns=\"\"/></a>", 1, None, &Method::Inclusive, "<b></b>");
}

#[test]
fn leaves_out_the_skipped_subtree_and_nothing_else() {
    check("<a>x<b><c/></b>y<b/></a>", 0, Some(2), &exclusive(&[]), "<a>xy<b></b></a>");
}

#[test]
fn attributes_are_sorted_by_namespace_name_and_not_by_prefix() {
    let xml = "<a xmlns:z=\"urn:1\" xmlns:y=\"urn:2\" y:k=\"1\" z:k=\"2\" k=\"3\" xml:lang=\"en\"/>";
    check(
        xml,
        0,
        None,
        &exclusive(&[]),
        "<a xmlns:y=\"urn:2\" xmlns:z=\"urn:1\" k=\"3\" xml:lang=\"en\" z:k=\"2\" y:k=\"1\"></a>",
    );
}

#[test]
fn leaves_out_what_stands_deep_in_a_subtree_that_is_canonical_already() {
    let xml = "<p:r xmlns:p=\"urn:p\"><p:a><p:b>x<p:c>y</p:c>z</p:b></p:a><p:d></p:d></p:r>";
    for method in [Method::Inclusive, exclusive(&[])] {
        check(xml, 0, None, &method, xml);
        check(xml, 0, Some(4), &method, &xml.replace("<p:c>y</p:c>", ""));
        check(xml, 0, Some(2), &method, &xml.replace("<p:b>x<p:c>y</p:c>z</p:b>", ""));
    }
}

#[test]
fn each_part_of_a_start_tag_is_written_anew_where_it_is_written_otherwise() {
    for (written, canonical) in [
        (" k=\"1\"", " k=\"1\""),
        ("\nk=\"1\"", " k=\"1\""),
        ("\tk=\"1\"", " k=\"1\""),
        ("  k=\"1\"", " k=\"1\""),
        (" k='1'", " k=\"1\""),
        (" k =\"1\"", " k=\"1\""),
        (" k= \"1\"", " k=\"1\""),
        (" k='\"'", " k=\"&quot;\""),
        (" k=\"&#49;\"", " k=\"1\""),
        (" k=\"\t\"", " k=\" \""),
        (" k=\"1\" ", " k=\"1\""),
        (" k=\"1\" j=\"2\"", " j=\"2\" k=\"1\""),
        (" k=\"1\" p:a=\"2\"", " k=\"1\" p:a=\"2\""),
        (" p:a=\"2\" k=\"1\"", " k=\"1\" p:a=\"2\""),
        (" p:a=\"2\" xml:lang=\"en\" k=\"1\"", " k=\"1\" xml:lang=\"en\" p:a=\"2\""),
        (" xml:lang=\"en\" z=\"1\"", " z=\"1\" xml:lang=\"en\""),
    ] {
        for method in [Method::Inclusive, exclusive(&[])] {
            let xml = format!("<p:r xmlns:p=\"urn:p\"><p:a{written}>t</p:a></p:r>");
            check(&xml, 0, None, &method, &format!("<p:r xmlns:p=\"urn:p\"><p:a{canonical}>t</p:a></p:r>"));
        }
    }
}

#[test]
fn prefixes_are_told_apart_by_all_their_letters() {
    for (one, other) in [("as", "bs"), ("sa", "sb"), ("s", "sa"), ("longprefa", "longprefb"), ("longpref", "longprefa")]
    {
        let inner = format!("<{other}:b xmlns:{other}=\"urn:2\"></{other}:b>");
        let xml = format!("<{one}:a xmlns:{one}=\"urn:1\">{inner}</{one}:a>");
        check(&xml, 0, None, &exclusive(&[]), &xml);
        check(&xml, 1, None, &exclusive(&[]), &inner);
        let declared = format!("<{one}:a xmlns:{one}=\"urn:1\" xmlns:{other}=\"urn:2\"><{other}:b/></{one}:a>");
        check(&declared, 0, None, &exclusive(&[]), &xml);
    }
}

/// The pieces in which an element is put, `=` before those that are copied from the source.
#[derive(Default)]
struct Pieces<'a> {
    source: &'a str,
    pieces: Vec<String>,
}

impl Sink for Pieces<'_> {
    fn put(&mut self, text: &str) {
        self.pieces.push(text.to_owned());
    }

    fn put_source(&mut self, start: usize, end: usize) {
        self.pieces.push(format!("={}", &self.source[start..end]));
    }
}

#[test]
fn a_canonical_form_out_of_proportion_is_an_error() {
    // Each `<x/>` has the namespace declared again, as long as it has to be for eight times the source.
    let xml = |length: usize, count: usize| {
        let apex =
            format!("<p:a xmlns:p=\"urn:p\" xmlns=\"urn:{}\">{}</p:a>", "x".repeat(length), "<x/>".repeat(count));
        let text = XmlText::admit(apex.clone().into_bytes()).unwrap();
        let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
        let form = canonicalize(&document, Document::ROOT, None, &exclusive(&[]));
        (apex.len(), form.map(|form| form.as_slice().len()))
    };
    let (source, form) = xml(12, 1_000);
    assert!(form.as_ref().is_ok_and(|form| *form > 7 * source && *form <= 8 * source), "{form:?} of {source}");
    for length in [13, 100, 200] {
        let (source, form) = xml(length, 1_000);
        let what = "bytes in a canonical form";
        assert_eq!(form, Err(Rejection::XmlLimitExceeded { what, limit: 8 * source }), "{length}");
    }
}

#[test]
fn a_copy_is_over_its_limit_with_one_byte_more() {
    let mut copy = Copy { source: "", text: String::new(), from: 0, to: 0, limit: 3 };
    copy.put("abc");
    assert!(!copy.is_settled());
    copy.put("d");
    assert!(copy.is_settled());
}

// Its element has the prefix of the one around, so nothing but the attribute asks for a declaration.
#[test]
fn the_prefix_of_an_attribute_is_declared_where_it_is_first_used() {
    let xml = "<p:r xmlns:p=\"urn:p\" xmlns:q=\"urn:q\"><p:a q:k=\"v\"><p:b q:k=\"v\"/></p:a></p:r>";
    let expected = "<p:r xmlns:p=\"urn:p\"><p:a xmlns:q=\"urn:q\" q:k=\"v\"><p:b q:k=\"v\"></p:b></p:a></p:r>";
    check(xml, 0, None, &exclusive(&[]), expected);
}

#[test]
fn nothing_is_written_once_a_canonical_form_is_out_of_proportion() {
    let xml = format!("<p:a xmlns:p=\"urn:p\" xmlns=\"urn:{}\">{}</p:a>", "x".repeat(200), "<x/>".repeat(1_000));
    let text = XmlText::admit(xml.into_bytes()).unwrap();
    let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
    let limit = 10_000;
    let mut copy = Copy { source: &document.source, text: String::new(), from: 0, to: 0, limit };
    Writer::new(&document, None, &exclusive(&[]), &mut copy).write(Document::ROOT);
    assert!(copy.is_settled() && copy.text.len() < limit + 1_000, "{}", copy.text.len());
}

#[test]
fn what_stands_in_the_source_as_it_is_to_be_written_is_copied_in_pieces_as_large_as_can_be() {
    let xml = "<p:r xmlns:p=\"urn:p\" k=\"1\"><p:a><p:b k=\"v\">x</p:b>y</p:a><p:c><p:d/></p:c></p:r>";
    let text = XmlText::admit(xml.as_bytes().to_vec()).unwrap();
    let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
    let mut sink = Pieces { source: xml, pieces: Vec::new() };
    let skip = NodeId(document.nodes.len() as u32 - 1);
    Writer::new(&document, Some(skip), &exclusive(&[]), &mut sink).write(Document::ROOT);
    assert_eq!(
        sink.pieces,
        [
            "=<p:r",
            " xmlns:",
            "p",
            "=\"",
            "urn:p",
            "\"",
            "= k=\"1\"",
            ">",
            "=<p:a><p:b k=\"v\">x</p:b>y</p:a>",
            "=<p:c",
            ">",
            "=</p:c",
            ">",
            "=</p:r",
            ">",
        ]
    );
}

/// What surrounds each part of a start tag, and what it holds: written as canonicalization does, or in one of the
/// ways in which it does not.
fn start_tag() -> impl Strategy<Value = (String, String)> {
    let name = prop::sample::select(vec!["p:n", "p:n", "p:m", "q:n", "n"]);
    let parts = [
        " a=\"1\"",
        " b=\"2\"",
        " c='3'",
        "  d=\"4\"",
        "\ne=\"5\"",
        " f =\"6\"",
        " g= \"7\"",
        " h=\"&lt;\"",
        " i='\"'",
        " j=\"'>\"",
        " p:k=\"8\"",
        " xml:lang=\"en\"",
        " xmlns:p=\"u:p\"",
        " xmlns:r=\"u:r\"",
        " xmlns=\"u:d\"",
        " xmlns=\"\"",
    ];
    let parts = prop::sample::subsequence(parts.to_vec(), 0..3).prop_shuffle();
    (name, parts, prop::sample::select(vec!["", "", "", " "])).prop_filter_map("xmlns twice", |(name, parts, end)| {
        let twice = parts.iter().filter(|part| part.starts_with(" xmlns=")).count() > 1;
        (!twice).then(|| (name.to_owned(), format!("<{name}{}{end}", parts.concat())))
    })
}

fn element() -> impl Strategy<Value = String> {
    let text = || prop::sample::select(vec!["", "x", " ", "&amp;", "a>b", "&#13;"]);
    let leaf = (start_tag(), text(), prop::bool::weighted(0.2)).prop_map(|((name, start), text, empty)| {
        if empty { format!("{start}/>") } else { format!("{start}>{text}</{name}>") }
    });
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let space = prop::sample::select(vec!["", "", "", "\n"]);
        (start_tag(), prop::collection::vec((text(), inner), 1..4), space).prop_map(
            |((name, start), content, space)| {
                let content: String = content.into_iter().map(|(text, inner)| format!("{text}{inner}")).collect();
                format!("{start}>{content}</{name}{space}>")
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_subtree_copied_whole_is_what_its_elements_written_one_by_one_are(inner in element()) {
        let xml = format!("<p:r xmlns=\"u:d\" xmlns:p=\"u:p\" xmlns:q=\"u:q\">{inner}</p:r>");
        let text = XmlText::admit(xml.clone().into_bytes()).unwrap();
        let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
        let text = XmlText::admit(xml.into_bytes()).unwrap();
        let mut one_by_one = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
        one_by_one.nodes.iter_mut().for_each(|node| node.verbatim = false);
        let elements: Vec<NodeId> = std::iter::once(Document::ROOT).chain(document.descendants(Document::ROOT)).collect();
        for method in [Method::Inclusive, exclusive(&[]), exclusive(&["", "q"])] {
            for apex in &elements {
                for skip in elements.iter().map(|skip| Some(*skip)).chain([None]).filter(|skip| *skip != Some(*apex)) {
                    let seen = canonicalize(&document, *apex, skip, &method).map(|bytes| bytes.0);
                    prop_assert_eq!(seen, canonicalize(&one_by_one, *apex, skip, &method).map(|bytes| bytes.0));
                }
            }
            prop_assert_eq!(is_canonical_form(&document, &method), is_canonical_form(&one_by_one, &method));
        }
    }
}
