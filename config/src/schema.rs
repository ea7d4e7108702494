//! The JSON schema of the settings file, for editors; made from the tables that the reader uses.

use serde_json::{Map, Value, json};

use crate::sections::ROOT;
use crate::table::{Choices, Kind, Presence, Table};

/// The schema (draft 2020-12) of the settings file.
pub fn json_schema() -> Value {
    let mut schema = section(&ROOT);
    if let Value::Object(fields) = &mut schema {
        fields.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        fields.insert("title".to_owned(), json!("samlgate settings"));
    }
    schema
}

fn section(table: &Table) -> Value {
    let mut properties = Map::new();
    for key in table.keys {
        let mut schema = kind(&key.kind);
        if let Value::Object(fields) = &mut schema {
            let description = match key.presence {
                Presence::Required => key.about.to_owned(),
                Presence::Optional(default) => format!("{} (default: {default})", key.about),
            };
            fields.insert("description".to_owned(), json!(description));
        }
        properties.insert(key.name.to_owned(), schema);
    }
    let required: Vec<&str> =
        table.keys.iter().filter(|key| key.presence == Presence::Required).map(|key| key.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text | Kind::Pem | Kind::File => text(),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Count { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Duration { .. } => {
            json!({ "type": "string", "pattern": "^([0-9]+ *[a-z]+ *)+$", "examples": ["15m", "1h30m"] })
        }
        Kind::Choice(choices) => choice(choices),
        Kind::List(inner) => list(&self::kind(inner)),
        Kind::OneOrMany(inner) => json!({ "oneOf": [self::kind(inner), list(&self::kind(inner))] }),
        Kind::Section(table) => section(table),
        Kind::Sections(table) => list(&section(table)),
        Kind::Named(table) => json!({ "type": "object", "additionalProperties": section(table), "minProperties": 1 }),
        Kind::Texts => json!({ "type": "object", "additionalProperties": text(), "minProperties": 1 }),
        Kind::ChoiceOrSection(choices, table) => {
            let mut section = section(table);
            if let Value::Object(fields) = &mut section {
                fields.insert("minProperties".to_owned(), json!(1));
            }
            json!({ "oneOf": [choice(choices), section] })
        }
    }
}

fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn choice(choices: &Choices) -> Value {
    json!({ "type": "string", "enum": choices.values })
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1 })
}
