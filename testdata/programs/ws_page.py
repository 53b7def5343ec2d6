"""A page with a WebSocket, for tests: says whether the socket is open, and when it was closed.

Usage: python3 ws_page.py [PORT] [--host HOST]      (default 3000, 127.0.0.1)

Only Python's standard library: it answers the handshake of RFC 6455 and then keeps the
connection, without ever sending a message.
"""

import argparse
import base64
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"""<!doctype html>
<html lang="en"><title>A page with a socket</title>
<h1>A page with a socket</h1>
<p id="state">connecting</p>
<script>
const socket = new WebSocket(location.origin.replace("http", "ws") + "/socket");
const say = (text) => { document.getElementById("state").textContent = text; };
socket.onopen = () => say("open");
socket.onclose = () => { window.closedAt = performance.now(); say("closed"); };
</script>
</html>
"""
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        key = self.headers.get("Sec-WebSocket-Key")
        if self.path == "/socket" and key:
            return self.keep(key)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def keep(self, key):
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        while self.rfile.read(1):
            pass

    def log_message(self, format, *args):
        print(self.command, self.path, flush=True)


def main():
    parser = argparse.ArgumentParser(description="A page with a WebSocket.")
    parser.add_argument("port", type=int, nargs="?", default=3000)
    parser.add_argument("--host", default="127.0.0.1")
    arguments = parser.parse_args()
    server = ThreadingHTTPServer((arguments.host, arguments.port), Handler)
    print(f"listening on {arguments.host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
