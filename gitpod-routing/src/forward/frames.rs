//! Which bytes of a WebSocket are about something.

/// Tells data from heartbeats in one direction of a WebSocket.
///
/// It reads heads of frames as they pass and skips what they hold, so a chunk costs as much
/// as it has frames. Nothing is checked or changed: what is no WebSocket counts as it comes
/// out.
///
/// **Source:** RFC 6455, section 5.2.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frames {
    /// What is there of a head that has not come as a whole.
    head: [u8; LONGEST_HEAD],
    has: u8,
    /// Bytes that follow until the next head.
    left: u64,
    is_data: bool,
}

impl Frames {
    /// Whether `bytes`, which come next, have something of a frame that is no ping, pong or
    /// close.
    pub(crate) fn have_data(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        let mut have_data = false;
        while !rest.is_empty() {
            if self.left > 0 {
                let held = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(rest.len());
                self.left -= held as u64;
                have_data |= self.is_data;
                rest = rest.get(held..).unwrap_or_default();
                continue;
            }
            let Some((byte, behind)) = rest.split_first() else {
                break;
            };
            rest = behind;
            if self.take(*byte) {
                have_data |= self.is_data;
            }
        }
        have_data
    }

    /// How many bytes are missing at least until a frame ends: none between two frames.
    pub(crate) fn missing(&self) -> u64 {
        match (self.left, self.has) {
            (0, 0) => 0,
            (0, _) => 1,
            (left, _) => left,
        }
    }

    /// How many bytes come next that say nothing of frames: the rest of what one holds.
    #[cfg(target_os = "linux")]
    pub(crate) fn held(&self) -> u64 {
        self.left
    }

    /// Says that `bytes` of those went by unseen.
    #[cfg(target_os = "linux")]
    pub(crate) fn pass(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// Takes a byte of a head. Tells whether that was its last.
    fn take(&mut self, byte: u8) -> bool {
        if let Some(place) = self.head.get_mut(usize::from(self.has)) {
            *place = byte;
        }
        self.has = self.has.saturating_add(1);
        let [first, second, long @ ..] = self.head;
        let (length, mask) = (second & 0x7f, if second & 0x80 == 0 { 0 } else { 4 });
        let length_bytes: u8 = match length {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if self.has < 2 || self.has < 2 + length_bytes + mask {
            return false;
        }
        let long = long.iter().take(usize::from(length_bytes));
        self.left = match length_bytes {
            0 => length.into(),
            _ => long.fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        self.is_data = first & 0x0f < 8;
        self.has = 0;
        true
    }
}

/// Two bytes, a length of eight, a mask of four.
const LONGEST_HEAD: usize = 14;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame with `opcode` and a body of `length` bytes.
    fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        let mask = if masked { 0x80 } else { 0 };
        match length {
            0..126 => frame.push(mask | u8::try_from(length).unwrap()),
            126..65_536 => {
                frame.push(mask | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([0xff; 4]);
        }
        frame.extend(vec![0x89; length]); // looks like heads of pings
        frame
    }

    #[test]
    fn attack_34_only_frames_that_say_something_are_data() {
        let cases = [
            (vec![frame(1, 5, true)], true),
            (vec![frame(2, 70_000, false)], true),
            (vec![frame(0, 300, true)], true),
            (vec![frame(9, 4, true)], false),
            (
                vec![frame(10, 125, false), frame(9, 0, true), frame(8, 2, true)],
                false,
            ),
            (vec![frame(9, 125, true), frame(1, 0, true)], true),
        ];
        for (frames, expected) in cases {
            let bytes = frames.concat();
            assert_eq!(Frames::default().have_data(&bytes), expected);
            let mut one_by_one = Frames::default();
            let mut any = false;
            for byte in &bytes {
                any |= one_by_one.have_data(&[*byte]);
            }
            assert_eq!(any, expected, "one byte at a time");
        }
    }

    #[test]
    fn frames_are_known_after_bytes_of_one_that_nobody_saw() {
        let mut frames = Frames::default();
        let long = frame(2, 100_000, true);
        assert!(frames.have_data(&long[..20]));
        assert_eq!(frames.held(), 100_000 - 6);
        frames.pass(90_000);
        assert_eq!(frames.missing(), 10_000 - 6);
        assert!(frames.have_data(&long[90_020..]));
        assert_eq!((frames.missing(), frames.held()), (0, 0));
        assert!(!frames.have_data(&frame(9, 4, true)));
    }

    proptest! {
        #[test]
        fn where_chunks_are_cut_does_not_matter(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0_usize..400) {
            let (mut whole, mut cut_up) = (Frames::default(), Frames::default());
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let expected = whole.have_data(&bytes);
            let got = cut_up.have_data(first) | cut_up.have_data(second);
            prop_assert_eq!(got, expected);
            prop_assert_eq!((cut_up.has, cut_up.left), (whole.has, whole.left));
        }
    }
}
