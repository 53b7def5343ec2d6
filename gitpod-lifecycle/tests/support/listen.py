"""listen.py NAME ADDRESS [PORT]: answers NAME to whoever sends a byte; writes its port to the file NAME.port."""
import os, socket, sys

name, address = sys.argv[1], sys.argv[2]
port = int(sys.argv[3]) if len(sys.argv) > 3 else 0
listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
if address.endswith("%only"):
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
listener.bind((address.removesuffix("%only"), port))
listener.listen()
with open(name + ".new", "w") as file:
    print(listener.getsockname()[1], file=file)
os.rename(name + ".new", name + ".port")
while True:
    connection, _ = listener.accept()
    connection.recv(1)  # like any server that waits for a request
    connection.sendall(name.encode())
    connection.close()
