//! Text that we write into XML of our own.

/// Appends `value` so that it stands for itself inside a double-quoted attribute or an element.
pub(crate) fn push_attribute_value(xml: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\t' => xml.push_str("&#x9;"),
            '\n' => xml.push_str("&#xA;"),
            '\r' => xml.push_str("&#xD;"),
            other => xml.push(other),
        }
    }
}
