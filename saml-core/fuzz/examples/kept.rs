//! Writes what fuzzing kept and saml-core accepts, each beside its facts, for the judges of `tests/oracle/run`:
//! `cargo run --manifest-path saml-core/fuzz/Cargo.toml --example kept -- TO FROM...`

use std::fs;
use std::io;
use std::path::Path;

use known::{CERTIFICATE, IDP, REQUEST, SP, at, resigned};
use saml_core::{AcceptedLogin, DecryptionKeys, UnverifiedResponse};
use serde_json::json;

fn accepted(xml: &[u8]) -> Option<AcceptedLogin> {
    let response = UnverifiedResponse::from_xml(xml.to_vec()).ok()?;
    response.verify(&IDP, &DecryptionKeys::none()).ok()?.accept(&REQUEST, &SP, at()).ok()
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((to, from)) = arguments.split_first() else { panic!("wanted: TO FROM...") };
    fs::create_dir_all(to)?;
    let (mut looked_at, mut written) = (0, 0);
    for folder in from {
        for entry in fs::read_dir(folder)? {
            looked_at += 1;
            let Some(xml) = resigned(&fs::read(entry?.path())?) else { continue };
            let Some(login) = accepted(&xml) else { continue };
            let facts = json!({
                "issuer": "fuzzing",
                "issuer_version": "",
                "sign": "any",
                "encryption": null,
                "outcome": "admitted",
                "idp_entity_id": IDP.entity_id().as_str(),
                "idp_certificate": str::from_utf8(CERTIFICATE).expect("PEM"),
                "sp_entity_id": SP.entity_id.as_str(),
                "acs_url": SP.acs_url.as_str(),
                "request_id": REQUEST.id.as_str(),
                "at": at().to_string(),
                "person": { "email": login.identity().email },
            });
            let name = Path::new(to).join(format!("fuzzing-{written:04}"));
            fs::write(name.with_extension("xml"), &xml)?;
            fs::write(name.with_extension("facts.json"), facts.to_string())?;
            written += 1;
        }
    }
    println!("{written} of {looked_at} are accepted");
    Ok(())
}
