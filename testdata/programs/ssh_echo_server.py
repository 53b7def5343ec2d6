"""An SSH server that lets in who has the given key, and says what it was asked to run."""

import asyncio
import sys

import asyncssh


async def say(process):
    process.stdout.write(f"you said: {process.command}\n")
    process.exit(0)


async def main():
    port, keys = int(sys.argv[1]), sys.argv[2]
    server = await asyncssh.create_server(
        asyncssh.SSHServer,
        "127.0.0.1",
        port,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        authorized_client_keys=keys,
        process_factory=say,
    )
    print("listening", flush=True)
    await server.wait_closed()


asyncio.run(main())
