//! The binary `demo` as far as it goes without a browser.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Command, Output};

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demo")).args(arguments).output().expect("the demo can be started")
}

#[test]
fn help_names_the_options() {
    let output = demo(&["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(["--port", "--no-color", "--log", "demo samlgate"].iter().all(|option| text.contains(option)), "{text}");
}

#[test]
fn port_that_is_taken_is_named_with_the_cure() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let output = demo(&["--port", &port]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains(&format!("port {port} is taken")) && text.contains("--port"), "{text}");
}
