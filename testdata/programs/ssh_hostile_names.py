"""Logs in with names that are no workspaces: PORT WORKSPACE KEY-FILE."""

import socket
import sys

import paramiko


def tries(name, key):
    """One connection for each way: paramiko asks for the service anew with some of them."""
    yield lambda transport: transport.auth_none(name)
    yield lambda transport: transport.auth_publickey(name, key)
    yield lambda transport: transport.auth_password(name, "wrong")


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
        for log_in in tries(name, key):
            transport = paramiko.Transport(socket.create_connection(("127.0.0.1", port)))
            try:
                transport.start_client(timeout=60)
                log_in(transport)
            except (paramiko.SSHException, EOFError):
                pass
            if transport.is_authenticated():
                sys.exit(f"{name!r} got in")
            transport.close()
    print("all refused")


main()
