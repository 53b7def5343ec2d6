"""Answers `Upgrade: echo` with 101 and sends back what comes; anything else with 426."""

import socketserver
import sys


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        head = b""
        while True:
            line = self.rfile.readline()
            head += line
            if line in (b"\r\n", b""):
                break
        if b"upgrade: echo" not in head.lower():
            self.wfile.write(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: echo\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        while chunk := self.rfile.read1(65536):
            self.wfile.write(chunk)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
