"""Tries passwords on one connection until it ends, and prints how many could be: PORT WORKSPACE."""

import socket
import sys

import paramiko


def main():
    port, workspace = int(sys.argv[1]), sys.argv[2]
    transport = paramiko.ServiceRequestingTransport(socket.create_connection(("127.0.0.1", port)))
    transport.start_client(timeout=60)
    tried = 0
    while tried < 100:
        try:
            transport.auth_password(workspace, f"wrong {tried}")
            sys.exit("a wrong password got in")
        except paramiko.AuthenticationException:
            tried += 1
        except (paramiko.SSHException, EOFError):
            break
        if not transport.is_active():
            break
    print(tried)


main()
