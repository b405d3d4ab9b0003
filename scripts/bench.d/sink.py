"""A TCP server in the place of the tunnel, which only reads: a program of its own, so that nothing else delays it.

usage: sink.py BYTES [keep]; says its port, then how long the bytes took from the first to the last and, with `keep`,
their SHA-256; ends when the sender has closed.
"""

import gc
import hashlib
import socket
import sys
import time


def main(total, keep):
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    gc.disable()
    connection, _ = listener.accept()
    room, taken, kept, started = bytearray(1 << 20), 0, bytearray(), None
    while taken < total:
        count = connection.recv_into(room)
        started = started or time.monotonic()
        if not count:
            print(f"only {taken} of {total} bytes arrived", flush=True)
            return 1
        taken += count
        if keep:
            kept += room[:count]
    print(time.monotonic() - started, hashlib.sha256(kept).hexdigest(), flush=True)
    while count := connection.recv_into(room):
        taken += count
    if taken > total:
        print(f"{taken - total} bytes too many arrived", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:] == ["keep"]))
