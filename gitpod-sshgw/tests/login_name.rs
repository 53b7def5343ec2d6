//! Every user name is a workspace or an error, and what it asks for can be written back.
#![allow(clippy::unwrap_used)]

use gitpod_sshgw::{LoginName, NameForm, SessionTarget};
use proptest::prelude::*;

fn any_id() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-9a-z]{2,16}-[0-9a-z]{2,16}-[0-9a-z]{8,11}",
        "debug-[0-9a-z]{2,16}-[0-9a-z]{8,11}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ]
}

proptest! {
    #[test]
    fn a_name_is_read_as_it_was_built(
        id in any_id(),
        debug: bool,
        token in prop::option::of("[0-9A-Za-z_.:@ä-]{0,40}"),
    ) {
        let prefix = if debug { "debug-" } else { "" };
        let suffix = token.as_ref().map_or_else(String::new, |token| format!("#{token}"));
        let name = LoginName::parse(&format!("{prefix}{id}{suffix}"), NameForm::MayCarryToken);
        let name = name.unwrap();
        prop_assert_eq!(name.id.as_str(), id);
        prop_assert_eq!(name.target == SessionTarget::Debug, debug);
        prop_assert_eq!(name.token.as_ref().map(|token| token.expose()), token.as_deref());
    }

    #[test]
    fn any_text_is_refused_or_written_back(text in "\\PC{0,60}") {
        if let Ok(name) = LoginName::parse(&text, NameForm::IdOnly) {
            prop_assert_eq!(name.expose(), text);
        }
    }
}
