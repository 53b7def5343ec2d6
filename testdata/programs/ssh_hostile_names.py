"""Logs in with names that are no workspaces: PORT WORKSPACE KEY-FILE."""

import socket
import sys

import paramiko


def main():
    port, workspace = int(sys.argv[1]), sys.argv[2]
    key = paramiko.Ed25519Key(filename=sys.argv[3])
    names = [
        "",
        "#",
        "root",
        "-oProxyCommand=touch /tmp/INJECTED",
        f"../{workspace}",
        f"{workspace}/..",
        f" {workspace}",
        f"{workspace} ",
        f"{workspace}\0",
        f"{workspace}\nINJECTED line in the log",
        f"{workspace}#",
        f"{workspace}#\x1b[31mINJECTED",
        f"{workspace}#a#b",
        f"{workspace}\u202e",
        f"debug-debug-{workspace}",
        workspace.upper(),
        "a" * 65536,
        "é" * 1000,
    ]
    for name in names:
        transport = paramiko.Transport(socket.create_connection(("127.0.0.1", port)))
        try:
            transport.start_client(timeout=60)
            for log_in in (
                lambda: transport.auth_none(name),
                lambda: transport.auth_publickey(name, key),
                lambda: transport.auth_password(name, "wrong"),
            ):
                try:
                    log_in()
                except (paramiko.SSHException, EOFError):
                    continue
                if transport.is_authenticated():
                    sys.exit(f"{name!r} got in")
        finally:
            transport.close()
    print("all refused")


main()
