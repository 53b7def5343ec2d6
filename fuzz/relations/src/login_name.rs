//! Login names of the SSH gateway.

use gitpod_routing::WorkspaceId;
use gitpod_sshgw::{ErrorCode, LoginName, LoginParts, NameForm};

/// A user name that is read is written back the same; one that is a workspace id
/// asks for that workspace.
pub fn login_name(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    for form in [NameForm::MayCarryToken, NameForm::IdOnly] {
        read(text, form);
        let parts = LoginParts::split(text, form);
        assert!(text.contains(parts.workspace), "{text:?} {parts:?}");
    }
    if WorkspaceId::matches(text) {
        let id = LoginName::parse(text, NameForm::IdOnly).map(|name| name.id);
        assert_eq!(id.as_ref().map(WorkspaceId::as_str), Ok(text));
    }
}

fn read(text: &str, form: NameForm) {
    match LoginName::parse(text, form) {
        Err(why) => {
            let codes = [
                ErrorCode::NotFound,
                ErrorCode::InvalidId,
                ErrorCode::AuthFailed,
            ];
            assert!(codes.contains(&why.code()), "{text:?} {why}");
        }
        Ok(name) => {
            let written = name.expose();
            // With several `#` all that follows the first is no token, and left out.
            let rest = text.strip_prefix(&*written);
            let several = text.matches('#').count() > 1;
            assert!(
                rest.is_some_and(|rest| rest.is_empty() || several),
                "{text:?} {name:?}"
            );
            let again = LoginName::parse(&written, form).map(|name| name.expose());
            assert_eq!(again, Ok(written));
        }
    }
}
