"""A line to a server on this machine that can be made slow, stand still, or give another's answer."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

_POLL = 0.01
_BLOCK = 1 << 16


class Line:
    """Carry bytes between a free port and a server's.

    `delay` is the seconds that each block of an answer takes; while it is `still`, what is asked arrives and no answer
    comes back; `answer` is what everybody is told who connects, whatever they ask.
    """

    def __init__(self, port: int) -> None:
        self.delay, self.still, self.answer = 0.0, False, b""
        self.held = 0  # answers that were there while the line stood still
        self._to, self._open = port, True
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._door.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open = False
        self._door.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while self._open:
                caller, _ = self._door.accept()
                threading.Thread(target=self._serve, args=(caller,), daemon=True).start()

    def _serve(self, caller: socket.socket) -> None:
        with suppress(OSError), caller:
            if self.answer:
                _hear_out(caller)
                caller.sendall(self.answer)
                return
            with socket.create_connection(("127.0.0.1", self._to)) as server:
                back = threading.Thread(target=self._carry, args=(server, caller), daemon=True)
                back.start()
                while block := caller.recv(_BLOCK):
                    server.sendall(block)
                server.shutdown(socket.SHUT_WR)
                back.join()

    def _carry(self, server: socket.socket, caller: socket.socket) -> None:
        with suppress(OSError):
            while block := server.recv(_BLOCK):
                self.held += self.still
                while self.still and self._open:
                    time.sleep(_POLL)
                time.sleep(self.delay)
                caller.sendall(block)
            caller.shutdown(socket.SHUT_WR)


def _hear_out(caller: socket.socket) -> None:
    """Read a request to its end."""
    head = b""
    while b"\r\n\r\n" not in head and (block := caller.recv(_BLOCK)):
        head += block
    lines, _, body = head.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b":", 1) for line in lines.split(b"\r\n")[1:])
    left = 0 if b"expect" in fields else int(fields.get(b"content-length", b"0")) - len(body)
    while left > 0 and (block := caller.recv(_BLOCK)):
        left -= len(block)
