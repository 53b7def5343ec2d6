"""Connects to the given ports on loopback and on the gateway, and says what became of it."""

import socket
import sys

with open("/proc/net/route") as table:
    rows = [row.split() for row in table][1:]
gateways = [bytes.fromhex(row[2])[::-1] for row in rows if row[1] == "00000000"]
hosts = ["127.0.0.1", *(socket.inet_ntoa(gateway) for gateway in gateways)]
for host in hosts:
    for port in sys.argv[1:]:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            print(host, port, "connected")
        except OSError:
            print(host, port, "failed")
