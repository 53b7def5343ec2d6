use russh::Pty;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OutputModes, SpecialCodeIndex, Termios,
};

/// A mode of a terminal and its value.
pub(super) type Mode = (Pty, u32);

/// Sets what a client asks for. What this system does not have is left out.
///
/// **Source:** RFC 4254, section 8; RFC 8160 for `IUTF8`.
pub(super) fn apply(settings: &mut Termios, modes: &[Mode]) {
    for (mode, value) in modes {
        if let Some(index) = special_code(*mode) {
            // 255 stands for "none", which is 0 here.
            let code = u8::try_from(*value).unwrap_or(NO_CODE);
            settings.special_codes[index] = if code == NO_CODE { 0 } else { code };
        } else if matches!(mode, Pty::TTY_OP_ISPEED | Pty::TTY_OP_OSPEED) {
            // A speed means nothing where there is no line, and not every number is one.
        } else {
            set_flag(settings, *mode, *value != 0);
        }
    }
}

const NO_CODE: u8 = 255;

fn special_code(mode: Pty) -> Option<SpecialCodeIndex> {
    Some(match mode {
        Pty::VINTR => SpecialCodeIndex::VINTR,
        Pty::VQUIT => SpecialCodeIndex::VQUIT,
        Pty::VERASE => SpecialCodeIndex::VERASE,
        Pty::VKILL => SpecialCodeIndex::VKILL,
        Pty::VEOF => SpecialCodeIndex::VEOF,
        Pty::VEOL => SpecialCodeIndex::VEOL,
        Pty::VEOL2 => SpecialCodeIndex::VEOL2,
        Pty::VSTART => SpecialCodeIndex::VSTART,
        Pty::VSTOP => SpecialCodeIndex::VSTOP,
        Pty::VSUSP => SpecialCodeIndex::VSUSP,
        Pty::VREPRINT => SpecialCodeIndex::VREPRINT,
        Pty::VWERASE => SpecialCodeIndex::VWERASE,
        Pty::VLNEXT => SpecialCodeIndex::VLNEXT,
        Pty::VDISCARD => SpecialCodeIndex::VDISCARD,
        _ => return None,
    })
}

fn set_flag(settings: &mut Termios, mode: Pty, on: bool) {
    if let Some(flag) = input_mode(mode) {
        settings.input_modes.set(flag, on);
    } else if let Some(flag) = local_mode(mode) {
        settings.local_modes.set(flag, on);
    } else if let Some(flag) = output_mode(mode) {
        settings.output_modes.set(flag, on);
    } else if let Some(flag) = control_mode(mode) {
        let size = matches!(mode, Pty::CS7 | Pty::CS8);
        if size && on {
            settings.control_modes.remove(ControlModes::CSIZE);
        }
        if !size || on {
            settings.control_modes.set(flag, on);
        }
    }
}

fn input_mode(mode: Pty) -> Option<InputModes> {
    Some(match mode {
        Pty::IGNPAR => InputModes::IGNPAR,
        Pty::PARMRK => InputModes::PARMRK,
        Pty::INPCK => InputModes::INPCK,
        Pty::ISTRIP => InputModes::ISTRIP,
        Pty::INLCR => InputModes::INLCR,
        Pty::IGNCR => InputModes::IGNCR,
        Pty::ICRNL => InputModes::ICRNL,
        Pty::IXON => InputModes::IXON,
        Pty::IXANY => InputModes::IXANY,
        Pty::IXOFF => InputModes::IXOFF,
        Pty::IMAXBEL => InputModes::IMAXBEL,
        Pty::IUTF8 => InputModes::IUTF8,
        _ => return None,
    })
}

fn local_mode(mode: Pty) -> Option<LocalModes> {
    Some(match mode {
        Pty::ISIG => LocalModes::ISIG,
        Pty::ICANON => LocalModes::ICANON,
        Pty::XCASE => LocalModes::XCASE,
        Pty::ECHO => LocalModes::ECHO,
        Pty::ECHOE => LocalModes::ECHOE,
        Pty::ECHOK => LocalModes::ECHOK,
        Pty::ECHONL => LocalModes::ECHONL,
        Pty::NOFLSH => LocalModes::NOFLSH,
        Pty::TOSTOP => LocalModes::TOSTOP,
        Pty::IEXTEN => LocalModes::IEXTEN,
        Pty::ECHOCTL => LocalModes::ECHOCTL,
        Pty::ECHOKE => LocalModes::ECHOKE,
        Pty::PENDIN => LocalModes::PENDIN,
        _ => return None,
    })
}

fn output_mode(mode: Pty) -> Option<OutputModes> {
    Some(match mode {
        Pty::OPOST => OutputModes::OPOST,
        Pty::OLCUC => OutputModes::OLCUC,
        Pty::ONLCR => OutputModes::ONLCR,
        Pty::OCRNL => OutputModes::OCRNL,
        Pty::ONOCR => OutputModes::ONOCR,
        Pty::ONLRET => OutputModes::ONLRET,
        _ => return None,
    })
}

fn control_mode(mode: Pty) -> Option<ControlModes> {
    Some(match mode {
        Pty::CS7 => ControlModes::CS7,
        Pty::CS8 => ControlModes::CS8,
        Pty::PARENB => ControlModes::PARENB,
        Pty::PARODD => ControlModes::PARODD,
        _ => return None,
    })
}
