"""Offers a public key without signing, then asks for a session: PORT WORKSPACE PUBLIC-KEY-FILE."""

import base64
import socket
import sys

import paramiko
from paramiko.common import cMSG_SERVICE_REQUEST, cMSG_USERAUTH_REQUEST


def main():
    port, workspace = int(sys.argv[1]), sys.argv[2]
    kind, key = open(sys.argv[3]).read().split()[:2]
    transport = paramiko.Transport(socket.create_connection(("127.0.0.1", port)))
    transport.start_client(timeout=60)
    service = paramiko.Message()
    service.add_byte(cMSG_SERVICE_REQUEST)
    service.add_string("ssh-userauth")
    transport._send_message(service)
    offer = paramiko.Message()
    offer.add_byte(cMSG_USERAUTH_REQUEST)
    offer.add_string(workspace)
    offer.add_string("ssh-connection")
    offer.add_string("publickey")
    offer.add_boolean(False)
    offer.add_string(kind)
    offer.add_string(base64.b64decode(key))
    transport._send_message(offer)
    # As if that had been enough.
    for method in ("none", None):
        if method:
            message = paramiko.Message()
            message.add_byte(cMSG_USERAUTH_REQUEST)
            message.add_string(workspace)
            message.add_string("ssh-connection")
            message.add_string(method)
            transport._send_message(message)
    try:
        transport.open_session(timeout=3)
    except (paramiko.SSHException, EOFError):
        print("refused")
        return
    sys.exit("a session was opened")


main()
