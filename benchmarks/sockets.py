"""Light clients, so that the server is what is measured: requests over kept connections, and open pages that only count.

A viewer speaks the socket of a page and takes compressed frames and packed updates, as browsers do: it reads each update,
notes which requests it lists, and says what it has shown.
"""

import asyncio
import base64
import multiprocessing
import os
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

PATH = "/n/{number}/"
_FINISHED = re.compile(rb'aria-label="GET /n/(\d+)/ 200"')
_UPTO = re.compile(rb'data-upto="(\d+)"')
_MORE = re.compile(rb'data-more="(\d+)"')


class Asker:
    """One kept connection to a site."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = self._connected()

    def _connected(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def get(self, path: str) -> float:
        """Ask for ``path``; the moment (seconds since 1970) at which the last byte of the answer was read."""
        ask = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode()
        try:
            self._socket.sendall(ask)
            return self._read()
        except OSError:
            self._socket = self._connected()
            self._socket.sendall(ask)
            return self._read()

    def _read(self) -> float:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            raise SystemExit(f"The site answered {head[:200]!r}")
        rest = int(length[1]) - len(body)
        while rest > 0:
            rest -= len(self._more())
        return time.time()

    def _more(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise OSError("closed")
        return data


def ask_at_rate(port: int, rate: float, count: int, first: int = 0, connections: int = 12, path: str = PATH) -> float:
    """Ask for ``count`` numbered paths from ``first`` on, at ``rate`` a second; the rate that was reached."""
    begin = time.perf_counter()

    def ask(lane: int) -> None:
        asker = Asker(port)
        for number in range(lane, count, connections):
            pause = begin + number / rate - time.perf_counter()
            if pause > 0:
                time.sleep(pause)
            asker.get(path.format(number=first + number))

    lanes = [threading.Thread(target=ask, args=(lane,)) for lane in range(connections)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    return count / (time.perf_counter() - begin)


@dataclass
class Told:
    """What the viewers of one process saw: of how many requests each was told, and what came over the wire."""

    missing: list[int] = field(default_factory=list)
    left_out: int = 0
    updates: int = 0
    received: int = 0


class _Viewer(asyncio.Protocol):
    def __init__(self, port: int, expected: int) -> None:
        self.port, self.listed = port, bytearray(expected)
        self.left_out = self.updates = self.received = 0
        self._shown = b"0"
        self.open = asyncio.get_running_loop().create_future()
        self._data = bytearray()
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        host = f"127.0.0.1:{self.port}"
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /__inspector__/live/ HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._data += data
        if not self.open.done():
            head, end, _ = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                raise SystemExit(f"The socket was refused: {bytes(head[:200])!r}")
            del self._data[: len(head) + 4]
            self._say(1, b'{"packed":true}')
            self.open.set_result(None)
        while (frame := self._frame()) is not None:
            self._take(*frame)

    def _frame(self) -> tuple[int, bytes] | None:
        data = self._data
        if len(data) < 2:
            return None
        length, start = data[1] & 127, 2
        if length == 126:
            length, start = (struct.unpack_from("!H", data, 2)[0], 4) if len(data) >= 4 else (1 << 62, 4)
        elif length == 127:
            length, start = (struct.unpack_from("!Q", data, 2)[0], 10) if len(data) >= 10 else (1 << 62, 10)
        if len(data) < start + length:
            return None
        kind, payload = data[0], bytes(data[start : start + length])
        del data[: start + length]
        if kind & 0x40:
            payload = self._inflate.decompress(payload + b"\0\0\xff\xff")
        return kind & 15, payload

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == 9:
            self._say(10, payload)
        if kind not in (1, 2):
            return
        if kind == 2:
            payload = zlib.decompress(payload, wbits=-zlib.MAX_WBITS)
        self.updates += 1
        for number in _FINISHED.findall(payload):
            if int(number) < len(self.listed):
                self.listed[int(number)] = 1
        more, upto = _MORE.search(payload[:300]), _UPTO.search(payload[:300])
        self.left_out += int(more[1]) if more else 0
        self._shown = upto[1] if upto else self._shown
        self._say(1, b'{"shown":%s}' % self._shown)

    def _say(self, kind: int, payload: bytes) -> None:
        assert self._transport is not None
        self._transport.write(bytes((0x80 | kind, 0x80 | len(payload))) + b"\0\0\0\0" + payload)


class Viewers:
    """``count`` open pages in a process of their own; ``expected`` requests are going to be numbered from 0."""

    def __init__(self, port: int, count: int, expected: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ready, self._end = spawn.Event(), spawn.Event()
        self._told, theirs = spawn.Pipe(duplex=False)
        self._process = spawn.Process(target=_look, args=(port, count, expected, self._ready, self._end, theirs))
        self._process.start()
        if not self._ready.wait(60):
            raise SystemExit(f"{count} viewers are not connected after a minute.")

    def end(self) -> Told:
        """Close the pages; what they saw."""
        self._end.set()
        told: Told = self._told.recv()
        self._process.join()
        return told


def _look(port: int, count: int, expected: int, ready: Event, end: Event, answer: Connection) -> None:
    async def look() -> Told:
        loop = asyncio.get_running_loop()
        make: Callable[[], _Viewer] = lambda: _Viewer(port, expected)  # noqa: E731
        viewers = [(await loop.create_connection(make, "127.0.0.1", port))[1] for _ in range(count)]
        for viewer in viewers:
            await viewer.open
        ready.set()
        await asyncio.to_thread(end.wait)
        return Told(
            [viewer.listed.count(0) for viewer in viewers],
            sum(viewer.left_out for viewer in viewers),
            sum(viewer.updates for viewer in viewers),
            sum(viewer.received for viewer in viewers),
        )

    answer.send(asyncio.run(look()))
