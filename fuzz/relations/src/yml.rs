//! `.gitpod.yml`.

use gitpod_lifecycle::gitpod_yml::{GitpodYml, GitpodYmlError, MAX_BYTES, Port, Task, parse};
use gitpod_routing::{Protocol, Visibility};
use serde_json::{Value, json};

/// A file that is read and written as JSON, which is YAML, says the same again.
/// One that is not says where it is wrong.
pub fn gitpod_yml(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match parse(text) {
        Ok(file) => check_file(text, &file),
        Err(error) => check_error(text, &error),
    }
}

fn check_file(text: &str, file: &GitpodYml) {
    for port in &file.ports {
        for number in [port.range.first(), port.range.last()] {
            assert_eq!(file.port(number), Some(port), "{text:?}");
        }
    }
    let written = write(file);
    if written.len() > MAX_BYTES {
        return;
    }
    let again = parse(&written);
    assert!(
        again.is_ok(),
        "{text:?} was written as {written}: {again:?}"
    );
    let again = again.unwrap_or_default();
    assert_eq!(again.tasks, file.tasks, "{text:?} was written as {written}");
    assert_eq!(again.ports, file.ports, "{text:?} was written as {written}");
}

fn check_error(text: &str, error: &GitpodYmlError) {
    let lines = u64::try_from(text.split(['\n', '\r']).count()).unwrap_or(u64::MAX);
    assert!(!error.problems.is_empty(), "{text:?}");
    for problem in &error.problems {
        let line = problem.line;
        assert!(
            (1..=lines).contains(&line),
            "{text:?}: {problem} but there are {lines} lines"
        );
        assert!(
            !problem.message.is_empty() && !problem.fix.is_empty(),
            "{text:?}: {problem}"
        );
        assert!(!problem.to_string().contains('\n'), "{text:?}: {problem}");
    }
}

fn write(file: &GitpodYml) -> String {
    let tasks: Vec<Value> = file.tasks.iter().map(task).collect();
    let ports: Vec<Value> = file.ports.iter().map(port).collect();
    json!({ "tasks": tasks, "ports": ports }).to_string()
}

fn task(task: &Task) -> Value {
    given([
        ("name", task.name.as_ref().map(|name| json!(name))),
        ("before", task.before.as_ref().map(|text| json!(text))),
        ("init", task.init.as_ref().map(|text| json!(text))),
        ("command", task.command.as_ref().map(|text| json!(text))),
        ("env", Some(json!(task.env))),
    ])
}

fn port(port: &Port) -> Value {
    let visibility = match port.visibility {
        Visibility::Public => "public",
        _ => "private",
    };
    let protocol = match port.protocol {
        Protocol::Https => "https",
        _ => "http",
    };
    given([
        ("port", Some(json!(port.range.to_string()))),
        ("visibility", Some(json!(visibility))),
        ("protocol", Some(json!(protocol))),
        ("onOpen", Some(json!(port.on_open.as_str()))),
        ("name", port.name.as_ref().map(|name| json!(name))),
        (
            "description",
            port.description.as_ref().map(|text| json!(text)),
        ),
    ])
}

/// An object of those that have a value.
fn given<const N: usize>(entries: [(&str, Option<Value>); N]) -> Value {
    let entries = entries.into_iter();
    let given = entries.filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(given.collect())
}
