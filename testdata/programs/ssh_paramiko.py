"""paramiko: PORT WORKSPACE KEY-FILE KNOWN-HOSTS. Says what is wrong, and nothing else."""

import base64
import io
import os
import sys

import paramiko


def same(got, wanted, what):
    if got != wanted:
        sys.exit(f"{what}: {got!r:.300} instead of {wanted!r:.300}")


def main():
    port, workspace, key, known = int(sys.argv[1]), *sys.argv[2:5]
    client = paramiko.SSHClient()
    kind, host_key = open(known).read().split()[1:3]
    client.get_host_keys().add(
        f"[127.0.0.1]:{port}", kind, paramiko.Ed25519Key(data=base64.b64decode(host_key))
    )
    client.connect(
        "127.0.0.1", port, workspace, key_filename=key, allow_agent=False, look_for_keys=False
    )

    stdin, stdout, stderr = client.exec_command("cat; echo err >&2; exit 4")
    data = os.urandom(500_000)
    stdin.write(data)
    stdin.channel.shutdown_write()
    same(stdout.read(), data, "output")
    same(stderr.read(), b"err\n", "errors")
    same(stdout.channel.recv_exit_status(), 4, "exit code")

    shell = client.invoke_shell(width=77, height=33)
    shell.send('echo "size": $(stty size); exit 6\n')
    printed = b""
    while part := shell.recv(65536):
        printed += part
    if b"size: 33 77" not in printed:
        sys.exit(f"terminal: {printed!r}")
    same(shell.recv_exit_status(), 6, "exit code of the shell")

    sftp = client.open_sftp()
    sftp.mkdir("dir")
    with sftp.open("dir/file", "wb") as file:
        file.write(data)
    same(sftp.stat("dir/file").st_size, len(data), "size")
    copy = io.BytesIO()
    sftp.getfo("dir/file", copy)
    same(copy.getvalue(), data, "file")
    with sftp.open("dir/file", "r+b") as file:
        file.seek(100)
        file.write(b"middle")
        file.seek(98)
        same(file.read(10), data[98:100] + b"middle" + data[106:108], "part of a file")
    sftp.posix_rename("dir/file", "dir/other")
    same(sftp.listdir("dir"), ["other"], "directory")
    try:
        sftp.stat("dir/file")
        sys.exit("a file that was renamed is there")
    except FileNotFoundError:
        pass
    sftp.remove("dir/other")
    sftp.rmdir("dir")
    sftp.close()

    server = client.exec_command(
        "python3 -c \"import socket; s=socket.create_server(('127.0.0.1',0));"
        " print(s.getsockname()[1], flush=True); c=s.accept()[0]; c.sendall(b'inside'); c.close()\""
    )
    inside = int(server[1].readline())
    channel = client.get_transport().open_channel(
        "direct-tcpip", ("127.0.0.1", inside), ("127.0.0.1", 1)
    )
    same(channel.recv(100), b"inside", "forwarded port")
    client.close()


main()
