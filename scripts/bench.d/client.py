"""The host's side of a gateway's forwards, at 127.0.0.1: a program of its own, so that its time can be told.

usage: client.py burst PORT COUNT | down PORT BYTES | up PORT BYTES; says how many seconds it took, how many of them on
a processor, and how much was not served in time.

`burst` opens connections at once and waits until each has got its byte back, `down` asks for bytes, `up` sends
bytes and waits for their number.
"""

import selectors
import socket
import sys
import time

PATIENCE = 20  # s
BLOCK = 1 << 20


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def burst(port, count):
    started, left = time.monotonic(), count
    chosen = selectors.DefaultSelector()
    for _ in range(count):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", port))
        chosen.register(connection, selectors.EVENT_WRITE)
    while left:
        if time.monotonic() - started > PATIENCE:
            break
        for key, events in chosen.select(1):
            if events & selectors.EVENT_WRITE:
                key.fileobj.send(b"x")
                chosen.modify(key.fileobj, selectors.EVENT_READ)
            elif key.fileobj.recv(1) == b"x":
                chosen.unregister(key.fileobj)
                key.fileobj.close()
                left -= 1
    return time.monotonic() - started, left


def down(port, size):
    with connect(port) as connection:
        started, room, left = time.monotonic(), bytearray(BLOCK), size
        connection.sendall(b"%d\n" % size)
        while left > 0:
            count = connection.recv_into(room)
            if not count:
                sys.exit(f"{left} of {size} bytes are missing")
            left -= count
        return time.monotonic() - started, left


def up(port, size):
    with connect(port) as connection:
        started, block, left = time.monotonic(), bytes(BLOCK), size
        while left > 0:
            left -= connection.send(block[:left])
        connection.shutdown(socket.SHUT_WR)
        taken = int(connection.makefile().readline() or 0)
        if taken != size:
            sys.exit(f"{taken} of {size} bytes arrived")
        return time.monotonic() - started, left


if __name__ == "__main__":
    what, port, count = {"burst": burst, "down": down, "up": up}[sys.argv[1]], *map(int, sys.argv[2:])
    begun = time.process_time()
    elapsed, left = what(port, count)
    print(elapsed, time.process_time() - begun, left)
