use proptest::prelude::*;

use super::*;

const COMPLETE: &str = r"
image: { file: .gitpod.Dockerfile }
tasks:
  - name: web
    before: export A=1
    init: |
      npm install
      npm run build
    command: npm start
    env: { NODE_ENV: development, PORT: 3000, DEBUG: true, EMPTY: }
    openMode: split-right
  - command: make db
ports:
  - port: 3000
    visibility: public
    protocol: https
    name: Web
    description: The site
    onOpen: open-preview
  - port: 4000-4010
    onOpen: ignore
vscode: { extensions: [a.b] }
";

fn problems(text: &str) -> Vec<String> {
    parse(text)
        .unwrap_err()
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn ignored(text: &str) -> Vec<String> {
    let file = parse(text).unwrap();
    file.ignored
        .iter()
        .map(|it| format!("{}:{} {}: {}", it.line, it.column, it.key, it.because))
        .collect()
}

#[test]
fn a_complete_file_is_read_as_documented() {
    let file = parse(COMPLETE).unwrap();
    let web = &file.tasks[0];
    assert_eq!(
        (web.name.as_deref(), web.before.as_deref()),
        (Some("web"), Some("export A=1"))
    );
    assert_eq!(web.init.as_deref(), Some("npm install\nnpm run build\n"));
    let env: Vec<_> = web
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        env,
        ["DEBUG=true", "EMPTY=", "NODE_ENV=development", "PORT=3000"]
    );
    assert_eq!(
        (&file.tasks[1].name, file.tasks[1].command.as_deref()),
        (&None, Some("make db"))
    );

    let web = file.port(3000).unwrap();
    assert_eq!(
        (web.visibility, web.protocol),
        (
            gitpod_routing::Visibility::Public,
            gitpod_routing::Protocol::Https
        )
    );
    assert_eq!(
        (web.name.as_deref(), web.description.as_deref()),
        (Some("Web"), Some("The site"))
    );
    assert_eq!(web.on_open.as_str(), "open-preview");
    let range = file.port(4005).unwrap();
    assert_eq!(
        (range.range.to_string().as_str(), range.visibility),
        ("4000-4010", gitpod_routing::Visibility::Private)
    );
    assert!(file.port(4011).is_none());
}

#[test]
fn what_has_no_effect_is_said_with_its_place_and_the_reason() {
    assert_eq!(
        ignored(COMPLETE),
        [
            "2:1 image: there is no container: install what the repository needs on this machine",
            "11:5 tasks[0].openMode: there are no terminal tabs to arrange: the output is on the workspace's page",
            "19:5 ports[0].onOpen: nothing opens by itself: the workspace's page links every port",
            "22:1 vscode: extensions are not installed: install them in the editor",
        ]
    );
}

#[test]
fn unknown_keys_come_with_the_key_that_was_probably_meant() {
    assert_eq!(
        ignored(
            "Tasks: []\ngitconfig: {}\ncheckout_location: x\nfrobnicate: 1\ntasks: [{comand: ls}]\nports: [{port: 1, visability: public}]"
        ),
        [
            "1:1 Tasks: unknown key; did you mean `tasks`?",
            "2:1 gitconfig: unknown key; did you mean `gitConfig`?",
            "3:1 checkout_location: unknown key; did you mean `checkoutLocation`?",
            "4:1 frobnicate: unknown key; remove it",
            "5:10 tasks[0].comand: unknown key; did you mean `command`?",
            "6:19 ports[0].visability: unknown key; did you mean `visibility`?",
        ]
    );
}

/// A file and what is wrong with it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "ports:\n  - port: 70000",
        "line 2, column 11: ports[0].port: 70000 is not a port: ports are 1 to 65535 (fix: write a number like 3000 or a range like 3000-3010)",
    ),
    (
        "ports: [{port: 0}]",
        "line 1, column 16: ports[0].port: 0 is not a port: ports are 1 to 65535 (fix: write a number like 3000 or a range like 3000-3010)",
    ),
    (
        "ports: [{port: -3}]",
        "line 1, column 16: ports[0].port: -3 is not a port: ports are 1 to 65535 (fix: write a number like 3000)",
    ),
    (
        "ports: [{port: 3010-3000}]",
        "line 1, column 16: ports[0].port: the range 3010-3000 is the wrong way round (fix: write 3000-3010)",
    ),
    (
        "ports: [{port: web}]",
        "line 1, column 16: ports[0].port: `web` is not a port number (fix: write a number like 3000 or a range like 3000-3010)",
    ),
    (
        "ports: [{port: [1]}]",
        "line 1, column 16: ports[0].port: must be a port, but is a list (fix: write a number like 3000 or a range like 3000-3010)",
    ),
    (
        "ports: [{port: 1}, {port: 1}]",
        "line 1, column 27: ports[1].port: 1 has an entry already (fix: give every port one entry)",
    ),
    (
        "ports: [{port: 1-9}, {port: 9}]",
        "line 1, column 29: ports[1].port: 9 overlaps the entry 1-9 (fix: give every port one entry)",
    ),
    (
        "ports: [{name: x}]",
        "line 1, column 9: ports[0]: has no `port` (fix: write `- port: 3000`)",
    ),
    (
        "ports: [{port: 1, visibility: open}]",
        "line 1, column 31: ports[0].visibility: `open` is not a value of this key (fix: use `private` or `public`)",
    ),
    (
        "ports: 3000",
        "line 1, column 8: ports: must be a list, but is a number (fix: write `ports:` and below it `- port: 3000`)",
    ),
    (
        "ports: [3000]",
        "line 1, column 9: ports[0]: a port must be a map of `key: value`, but is a number (fix: write `key: value`, one per line)",
    ),
    (
        "tasks: {}",
        "line 1, column 8: tasks: must be a list, but is a map (fix: write `tasks:` and below it `- command: …`)",
    ),
    (
        "tasks: [{init: [a]}]",
        "line 1, column 16: tasks[0].init: must be text, but is a list (fix: write one text; `|` starts a text of several lines)",
    ),
    (
        "tasks: [{command: \"a\\0\"}]",
        "line 1, column 19: tasks[0].command: contains a NUL character (fix: remove it)",
    ),
    (
        "tasks: [{env: {A=B: x}}]",
        "line 1, column 16: tasks[0].env: `A=B` cannot be the name of a variable (fix: use letters, digits and underscores)",
    ),
    (
        "tasks:\n\t- command: x",
        "line 2, column 1: a tab indents this line; YAML only allows spaces (fix: replace each tab by two spaces)",
    ),
    (
        "- a",
        "line 1, column 1: the file must be a map of `key: value`, but is a list (fix: write `key: value`, one per line)",
    ),
    (
        "a: 1\na: 2",
        "line 2, column 1: the key `a` stands here for the second time (fix: keep one of the two)",
    ),
    (
        "a: *x",
        "line 1, column 4: the alias `*…` has no anchor (fix: define it before with `&name`, or put the text in quotes)",
    ),
    (
        "a: 1\n---\nb: 1",
        "line 2, column 1: a second document starts here (fix: keep one document: remove what follows `---`)",
    ),
    (
        "tasks:\n- command: a: b",
        "line 2, column 13: a second `: ` in one line (fix: put the text in quotes, or start it with `|` on its own line)",
    ),
    (
        "a: \"x",
        "line 1, column 4: unclosed quote (fix: close the quote)",
    ),
    (
        "a: [",
        "line 1, column 4: unclosed bracket '[' (fix: close the bracket)",
    ),
];

#[test]
fn every_mistake_has_line_column_and_fix() {
    for (text, want) in MISTAKES {
        assert_eq!(problems(text), [*want], "{text}");
    }
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let places: Vec<_> = parse("ports: [{port: 0}]\ntasks: 1\n")
        .unwrap_err()
        .problems
        .into_iter()
        .map(|it| it.path)
        .collect();
    assert_eq!(places, ["ports[0].port", "tasks"]);
}

#[test]
fn misspelt_keys_are_reported_beside_mistakes() {
    let error = parse("tasks: [{comand: x}]\nports: 1\n").unwrap_err();
    assert_eq!((error.problems.len(), error.ignored.len()), (1, 1));
}

#[test]
fn empty_and_odd_but_valid_files_are_read() {
    for text in [
        "",
        "\n",
        "# only a comment\n",
        "---\n",
        "\u{feff}tasks:\n",
        "tasks:\nports: ~\n",
        "tasks: [{}]",
    ] {
        let file = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert!(file.ports.is_empty() && file.ignored.is_empty(), "{text:?}");
    }
    // A tab inside a block scalar is text.
    assert_eq!(
        parse("tasks:\n- command: |\n    all:\n    \tcc x.c\n")
            .unwrap()
            .tasks[0]
            .command
            .as_deref(),
        Some("all:\n\tcc x.c\n")
    );
}

#[test]
fn size_depth_and_alias_expansion_are_bounded() {
    assert!(problems(&"x".repeat(MAX_BYTES + 1))[0].contains("more than 1048576"));
    assert!(problems(&"[".repeat(100_000))[0].starts_with("line 1, column"));
    assert!(problems(&"- ".repeat(50_000))[0].starts_with("line 1, column"));
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(","));
    }
    assert!(parse(&bomb).is_err());
    let many = (1..=2000)
        .map(|n| format!("- port: {}\n", n % 7))
        .collect::<String>();
    assert!(
        parse(&format!("ports:\n{many}"))
            .unwrap_err()
            .problems
            .len()
            <= 50
    );
}

#[test]
fn port_ranges_read_what_they_print() {
    assert_eq!(
        "3000:3005".parse::<PortRange>().unwrap().to_string(),
        "3000-3005"
    );
    assert_eq!(
        "3000-3000".parse::<PortRange>().unwrap().to_string(),
        "3000"
    );
    for bad in [
        "",
        "-",
        "1-",
        "-1",
        "1-2-3",
        "+1",
        "0x10",
        "65536",
        "99999999999999999999",
        "0-1",
    ] {
        assert!(bad.parse::<PortRange>().is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_yaml_like_text_makes_the_parser_panic(
        parts in prop::collection::vec(prop::sample::select(vec![
            "tasks:", "ports:", "- ", "  ", "\n", "port", ": ", "1-2", "&a ", "*a", "<<", "{", "}", "[", "]", "|", ">", "\"", "'", "!!str ", "\t", "env", "#", "---", "?", ",", "~", "99999999999999999999999", ".inf",
        ]), 0..60)
    ) {
        if let Err(error) = parse(&parts.concat()) {
            prop_assert!(!error.problems.is_empty());
            prop_assert!(error.problems.iter().all(|it| it.line > 0 && it.column > 0 && !it.fix.is_empty()));
        }
    }

    #[test]
    fn what_is_written_is_what_is_read(
        name in "[a-zA-Z][a-zA-Z0-9 _-]{0,20}[a-z]", command in "[ -~]{0,60}[!-~]", first in 1_u16.., extra in 0_u16..100
    ) {
        let last = first.saturating_add(extra);
        let quoted = serde_json::to_string(&command).unwrap();
        let name_quoted = serde_json::to_string(&name).unwrap();
        let range = PortRange::new(first, last).unwrap();
        let file = parse(&format!("tasks:\n  - name: {name_quoted}\n    command: {quoted}\nports:\n  - port: {range}\n")).unwrap();
        prop_assert_eq!(file.tasks[0].command.as_deref(), Some(command.as_str()));
        prop_assert_eq!(file.tasks[0].name.as_deref(), Some(name.as_str()));
        prop_assert_eq!(file.ports[0].range, range);
    }
}
