#!/usr/bin/env python3
"""A client in asyncio's streams for the hello service of packaging/try: asks, reads to the end
of the stream, prints. Usage: client.py [HOST [PORT]]"""

import asyncio
import sys


async def ask(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def main(host="127.0.0.1", port="7000"):
    answer = asyncio.run(ask(host, int(port)))
    sys.stdout.write(answer.decode(errors="backslashreplace"))


main(*sys.argv[1:])
