//! The examples print what their first lines say.
#![allow(clippy::unwrap_used)]

#[path = "../examples/sign_host.rs"]
mod sign_host;

#[tokio::test]
async fn sign_host_prints_what_it_says() {
    let mut printed = Vec::new();
    sign_host::run(&mut printed).await.unwrap();
    let source = include_str!("../examples/sign_host.rs");
    let stated: String = source
        .lines()
        .skip_while(|line| *line != "//! ```text")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| format!("{}\n", line.trim_start_matches("//! ")))
        .collect();
    assert_eq!(String::from_utf8(printed).unwrap(), stated);
}
