"""A TCP server in the place of the tunnel, which only reads."""

import socket
import time

from bench import Failed


class Sink:
    """One connection's reader; `close` it after the sender ended."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connection = None

    def take(self, total, process, patience, keep=False):
        """Reads `total` bytes from the first connection: seconds from the first to the last, and the bytes if kept."""
        deadline = time.monotonic() + patience
        self.connection = self.accept(process, deadline)
        room, taken, kept = bytearray(1 << 20), 0, bytearray()
        started = None
        while taken < total:
            self.connection.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                count = self.connection.recv_into(room)
            except TimeoutError:
                raise Failed(f"{taken} of {total} bytes arrived within {patience} s") from None
            started = started or time.monotonic()
            if not count:
                raise Failed(f"{taken} of {total} bytes arrived, then the sender closed the connection")
            taken += count
            if keep:
                kept += room[:count]
        return time.monotonic() - started, bytes(kept)

    def accept(self, process, deadline):
        self.listener.settimeout(0.1)
        while time.monotonic() < deadline and process.poll() is None:
            try:
                return self.listener.accept()[0]
            except TimeoutError:
                pass
        raise Failed("nobody connected to the sink")

    def close(self):
        for part in (self.connection, self.listener):
            if part:
                part.close()
