"""The line between a browser and a server, to be cut or frozen: what a train, a sleeping machine or a proxy does to it."""

import contextlib
import socket
import threading


class Line:
    """Takes connections on a port of its own and passes all on to ``to``, a port of the loopback address."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._cut = False
        self._flows = threading.Event()
        self._flows.set()
        self._ends: set[socket.socket] = set()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._let_in, daemon=True).start()

    @property
    def url(self) -> str:
        """The address of the server by this line."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End all connections; new ones end at once."""
        self._cut = True
        for end in list(self._ends):
            _end(end)

    def freeze(self) -> None:
        """Nothing gets through any more, and nobody is told."""
        self._flows.clear()

    def mend(self) -> None:
        """Take connections again. Those that were frozen are gone, as after a long sleep."""
        if not self._flows.is_set():
            self.cut()
            self._flows.set()
        self._cut = False

    def close(self) -> None:
        """Let go of everything."""
        self.cut()
        self._flows.set()
        self._door.close()

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._door.accept()
                if self._cut:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._to))
                self._ends |= {near, far}
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                target.sendall(data)
        for end in (source, target):
            _end(end)
            self._ends.discard(end)


def _end(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
