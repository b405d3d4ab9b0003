"""What the gateway's guest serves: port 1 echoes one byte, 2 sends what it is asked for, 3 takes and counts.

usage: guest.py ADDRESS...; says "ready".
"""

import socket
import sys
import threading

BLOCK = bytes(1 << 20)


def echo(connection):
    connection.sendall(connection.recv(1))


def send(connection):
    left = int(connection.makefile().readline())
    while left > 0:
        left -= connection.send(BLOCK[:left])


def take(connection):
    room, taken = bytearray(1 << 20), 0
    while count := connection.recv_into(room):
        taken += count
    connection.sendall(b"%d\n" % taken)


def serve(address, port, what):
    listener = socket.create_server((address, port), backlog=1024)

    def one(connection):
        with connection:
            what(connection)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    for address in sys.argv[1:]:
        for port, what in ((1, echo), (2, send), (3, take)):
            threading.Thread(target=serve, args=(address, port, what), daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()
