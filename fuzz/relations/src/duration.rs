//! Durations in Go's notation.

use gitpod_lifecycle::GoDuration;

/// A duration that is read and written is read the same again, and with the other
/// sign is its opposite.
pub fn go_duration(data: &[u8]) {
    if let Some(nanos) = data.first_chunk() {
        written_and_read(GoDuration::from_nanos(i64::from_be_bytes(*nanos)));
    }
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Ok(duration) = text.parse::<GoDuration>() else {
        return;
    };
    written_and_read(duration);
    if !text.starts_with(['+', '-']) {
        let opposite = format!("-{text}").parse::<GoDuration>();
        let opposite = opposite.map(GoDuration::as_nanos);
        assert_eq!(opposite, Ok(-duration.as_nanos()), "{text:?}");
    }
}

fn written_and_read(duration: GoDuration) {
    let written = duration.to_string();
    assert_eq!(written.parse(), Ok(duration), "{written}");
}
