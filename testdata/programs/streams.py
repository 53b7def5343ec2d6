"""A server of things that stay open, for tests: WebSockets, event streams, downloads.

Usage: python3 streams.py [PORT] [--host HOST] [--after SECONDS] [--stay-until FILE]
                                                    (default 3000, 127.0.0.1, 0 and at once)

/socket      a WebSocket that sends back what it gets
/pings       a WebSocket that only sends pings, five in a second
/events      server-sent events that are only heartbeats, five in a second
/download    a long download of known length, 20 kB in a second
/page        a page for people; anything else is answered with its method, path and length of body

Only Python's standard library. `--after` is how long it takes until it listens; asked to end
by SIGTERM, it does so when FILE is there.
"""

import argparse
import base64
import hashlib
import os
import signal
import struct
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
PAGE = b"<!doctype html><html lang=en><title>Here it is</title><h1 id=here>Here it is</h1></html>"
BEAT = 0.2


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        path = self.path.split("?")[0]
        if path in ("/socket", "/pings") and self.headers.get("Sec-WebSocket-Key"):
            return self.upgrade(path)
        if path == "/events":
            return self.events()
        if path == "/download":
            return self.download()
        if path == "/page":
            return self.say(PAGE, "text/html; charset=utf-8")
        body = self.body()
        text = f"{self.command} {self.path} {len(body)} {os.environ.get('GITPOD_WORKSPACE_ID')}"
        self.say(text.encode(), "text/plain")

    do_GET = do_POST = answer

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while length := int(self.rfile.readline(), 16):
            body += self.rfile.read(length)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def say(self, text, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        while True:
            self.wfile.write(b": beat\n\n")
            time.sleep(BEAT)

    def download(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        while True:
            self.wfile.write(bytes(1000))
            time.sleep(0.05)

    def upgrade(self, path):
        key = self.headers["Sec-WebSocket-Key"]
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        if path == "/pings":
            while True:
                self.frame(9, b"beat")
                time.sleep(BEAT)
        self.echo()

    def echo(self):
        while head := self.rfile.read(2):
            code, length = head[0] & 15, head[1] & 127
            if length == 126:
                (length,) = struct.unpack("!H", self.rfile.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self.rfile.read(8))
            mask = self.rfile.read(4) if head[1] & 128 else bytes(4)
            data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.rfile.read(length)))
            if code == 8:
                return self.frame(8, data)
            if code != 10:
                self.frame(10 if code == 9 else code, data)

    def frame(self, code, data):
        length = len(data)
        if length < 126:
            head = struct.pack("!BB", 128 | code, length)
        elif length < 65536:
            head = struct.pack("!BBH", 128 | code, 126, length)
        else:
            head = struct.pack("!BBQ", 128 | code, 127, length)
        self.wfile.write(head + data)
        self.wfile.flush()

    def log_message(self, format, *args):
        print(self.command, self.path, flush=True)


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # whoever has gone


def age():
    """Of this process, in milliseconds."""
    with open("/proc/self/stat") as stat:
        ticks = int(stat.read().rsplit(")", 1)[1].split()[19])
    began = ticks / os.sysconf("SC_CLK_TCK")
    return (time.clock_gettime(time.CLOCK_BOOTTIME) - began) * 1000


def leave(file):
    while not os.path.exists(file):
        time.sleep(BEAT)
    os._exit(0)


def main():
    parser = argparse.ArgumentParser(description="Things that stay open.")
    parser.add_argument("port", type=int, nargs="?", default=3000)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--after", type=float, default=0)
    parser.add_argument("--stay-until")
    arguments = parser.parse_args()
    if arguments.stay_until:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which comes as well
        signal.signal(signal.SIGTERM, lambda *_: leave(arguments.stay_until))
    time.sleep(arguments.after)
    server = Server((arguments.host, arguments.port), Handler)
    print(f"listening on {arguments.host}:{server.server_port} after {age():.0f} ms", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
