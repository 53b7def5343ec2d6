"""A web server for tests: answers every request with what it received, as JSON.

Usage: python3 web.py [PORT] [--host HOST]      (default 3000, 127.0.0.1)

The answer holds the method, the path, the headers as pairs in their order, the body,
the process id and the environment variables whose names begin with GITPOD_, so that a
test can see what reached the workspace and which workspace answered.
"""

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        seen = {
            "method": self.command,
            "path": self.path,
            "headers": self.headers.items(),
            "body": self.rfile.read(length).decode("utf-8", "replace"),
            "pid": os.getpid(),
            "folder": os.getcwd(),
            "environment": {
                name: value for name, value in os.environ.items() if name.startswith("GITPOD_")
            },
        }
        text = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, format, *args):
        print(self.command, self.path, flush=True)


def main():
    parser = argparse.ArgumentParser(description="Answers with what it received.")
    parser.add_argument("port", type=int, nargs="?", default=3000)
    parser.add_argument("--host", default="127.0.0.1")
    arguments = parser.parse_args()
    server = ThreadingHTTPServer((arguments.host, arguments.port), Handler)
    print(f"listening on {arguments.host}:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
