"""asyncssh: PORT WORKSPACE KEY-FILE KNOWN-HOSTS. Says what is wrong, and nothing else."""

import asyncio
import os
import sys
import tempfile

import asyncssh


def same(got, wanted, what):
    if got != wanted:
        sys.exit(f"{what}: {got!r:.300} instead of {wanted!r:.300}")


async def commands(ssh):
    result = await ssh.run("echo out; echo err >&2; exit 3")
    same((result.stdout, result.stderr, result.exit_status), ("out\n", "err\n", 3), "command")

    result = await ssh.run("kill -TERM $$")
    same(result.exit_signal and result.exit_signal[0], "TERM", "signal that ended it")

    process = await ssh.create_process("trap 'echo caught; exit 8' INT; echo ready; while :; do sleep 0.1; done")
    same(await process.stdout.readline(), "ready\n", "begin")
    process.send_signal("INT")
    same(await process.stdout.readline(), "caught\n", "signal that was sent")
    same((await process.wait()).exit_status, 8, "exit code after a signal")

    # Many at once on one connection, each with all of its output.
    async def one(number):
        result = await ssh.run(f"head -c 200000 /dev/zero | tr '\\0' x; exit {number}")
        same((len(result.stdout), result.exit_status), (200000, number), "one of many")

    await asyncio.gather(*(one(number) for number in range(20)))

    same((await ssh.run("echo $LANG", env={"LANG": "C.UTF-8"})).stdout, "C.UTF-8\n", "environment")
    same((await ssh.run("no-such-program")).exit_status, 127, "program that is not there")


async def files(ssh):
    data = os.urandom(700_000)
    with tempfile.TemporaryDirectory() as home:
        path = os.path.join(home, "file")
        open(path, "wb").write(data)
        async with ssh.start_sftp_client() as sftp:
            await sftp.mkdir("a")
            await sftp.put(path, "a/file")
            await sftp.get("a", home + "/back", recurse=True)
            same(open(home + "/back/file", "rb").read(), data, "file")
            same(await sftp.realpath("a/.."), await sftp.getcwd() or await sftp.realpath("."), "path")
            await sftp.rmtree("a")
            same(await sftp.exists("a"), False, "directory that was removed")
        await asyncssh.scp(path, (ssh, "by-scp"))
        same((await ssh.run("wc -c < by-scp")).stdout.strip(), "700000", "scp")


async def forwards(ssh):
    async def served(reader, writer):
        writer.write(await reader.readline())
        writer.close()

    here = await asyncio.start_server(served, "127.0.0.1", 0)
    back = await ssh.forward_remote_port("127.0.0.1", 0, "127.0.0.1", here.sockets[0].getsockname()[1])
    listener = await ssh.forward_local_port("127.0.0.1", 0, "127.0.0.1", back.get_port())
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.get_port())
    writer.write(b"there and back\n")
    same(await reader.readline(), b"there and back\n", "forwarded ports")
    listener.close()
    back.close()


async def main():
    port, workspace, key, known = int(sys.argv[1]), *sys.argv[2:5]
    hosts = asyncssh.import_known_hosts(open(known).read().replace("gitpod ", f"[127.0.0.1]:{port} "))
    async with asyncssh.connect(
        "127.0.0.1", port, username=workspace, client_keys=[key], known_hosts=hosts, agent_path=None, config=None
    ) as ssh:
        await commands(ssh)
        await files(ssh)
        await forwards(ssh)


asyncio.run(main())
