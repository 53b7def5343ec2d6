"""A stand-in for the supervisor: runs $RUN, answers on the socket, ends on SIGTERM.

With IGNORE_TERM=1 in the environment it ignores SIGTERM.
"""
import ctypes, json, os, signal, socket, subprocess, sys

config = json.load(open(sys.argv[sys.argv.index("--config") + 1]))
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
if os.environ.get("IGNORE_TERM"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
subprocess.Popen(["sh", "-c", os.environ.get("RUN", "true")])
listener = socket.socket(socket.AF_UNIX)
listener.bind(config["socket"])
listener.listen()
body = b'{"ok":true}'
while True:
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    connection.close()
