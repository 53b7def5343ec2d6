"""Runs a command in a terminal of its own, whose window changes, and asks it for the size."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time


def resize(terminal, rows, columns):
    size = struct.pack("HHHH", rows, columns, 0, 0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, size)


def read_until(terminal, wanted, give_up):
    seen = b""
    while wanted not in seen:
        if time.monotonic() > give_up:
            sys.exit(f"no {wanted!r} in {seen!r}")
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:
                sys.exit(f"it ended: {seen!r}")
    return seen.decode(errors="replace")


def main():
    give_up = time.monotonic() + 60
    pid, terminal = pty.fork()
    if pid == 0:
        resize(0, 41, 101)
        os.execvp(sys.argv[1], sys.argv[1:])
    # Quotes keep the echo of what is typed apart from what is printed.
    os.write(terminal, b"""echo "size": $(stty size)\n""")
    print(read_until(terminal, b"size: 41 101", give_up))
    resize(terminal, 51, 121)
    while True:
        os.write(terminal, b"""echo "size": $(stty size)\n""")
        if "size: 51 121" in read_until(terminal, b"size: ", give_up):
            break
        time.sleep(0.2)
    print("size: 51 121")
    # Ctrl-C ends what runs in the foreground, not the shell.
    os.write(terminal, b"""echo go"ing"; sleep 1000\n""")
    read_until(terminal, b"going", give_up)
    # What was typed right behind Ctrl-C may be thrown away with what was typed before; and a shell that has said `going` may
    # not have handed the terminal to the program yet.
    seen = ""
    while "alive" not in seen:
        os.write(terminal, b"\x03")
        os.write(terminal, b"""echo al"ive"\n""")
        if time.monotonic() > give_up:
            sys.exit(f"no shell after Ctrl-C: {seen!r}")
        time.sleep(0.2)
        seen += os.read(terminal, 65536).decode(errors="replace")
    os.write(terminal, b"exit 3\n")
    while select.select([terminal], [], [], max(0, give_up - time.monotonic()))[0]:
        try:
            if not os.read(terminal, 65536):
                break
        except OSError:
            break
    print("exit code:", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


main()
