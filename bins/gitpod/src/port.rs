//! Port numbers as people write them.

/// Reads a port: digits alone, 1 to 65535.
///
/// Neither a sign nor a leading zero: hostnames have none, and `+80` or `080` would be a
/// second name of the same port.
///
/// # Errors
///
/// What is wrong, for people.
pub(crate) fn read(text: &str) -> Result<u16, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let port = Some(text)
        .filter(|_| plain)
        .and_then(|text| text.parse().ok());
    port.ok_or_else(|| {
        format!(
            "`{}` is no port; write digits alone, 1 to 65535",
            text.escape_debug()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_06_port_is_digits_from_1_to_65535() {
        for (text, port) in [("1", 1), ("80", 80), ("65535", 65535)] {
            assert_eq!(read(text), Ok(port));
        }
        for text in [
            "", "0", "+80", "-80", "0080", " 80", "80 ", "８０", "65536", "70000", "8_0", "0x50",
            "80\0", "1e2",
        ] {
            let why = read(text).unwrap_err();
            assert!(!why.contains('\0'), "{why:?}");
        }
    }
}
