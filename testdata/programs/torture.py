"""The server of a tortured workspace: says whose it is, and echoes WebSocket messages.

Usage: python3 torture.py PORT

Every request is answered with the ids of workspace and instance, so that an answer of the
wrong workspace is noticed. Messages of up to 125 bytes are sent back as they come.
"""

import base64
import hashlib
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WHO = f"{os.environ['GITPOD_WORKSPACE_ID']} {os.environ['GITPOD_INSTANCE_ID']}\n".encode()
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.echo()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(WHO)))
        self.end_headers()
        self.wfile.write(WHO)

    def echo(self):
        self.close_connection = True
        accept = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + GUID).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
        self.end_headers()
        while len(head := self.rfile.read(2)) == 2 and head[1] & 0x7F <= 125:
            mask = self.rfile.read(4)
            text = bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(head[1] & 0x7F)))
            self.wfile.write(bytes([head[0], len(text)]) + text)
            if head[0] & 0x0F == 8:
                return

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
