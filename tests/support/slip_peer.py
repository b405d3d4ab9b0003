"""A SLIP peer with Linux's stack behind it, as tunslip6 is one: unix socket on one side, TUN or TAP on the other.

usage: slip_peer.py SOCKET INTERFACE ip|eth [quiet|chatty]

Listens at SOCKET, serves one client after the other, and opens INTERFACE, which it makes. `chatty` writes a log line
between the frames and an END in front of each; otherwise there is an END behind each and nothing else. Bytes go out a
few at a time, as from a serial line.
"""

import fcntl
import os
import select
import socket
import struct
import sys

END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD
IFF_TUN, IFF_TAP, IFF_NO_PI, TUNSETIFF = 1, 2, 0x1000, 0x400454CA


def interface(name, kind):
    handle = os.open("/dev/net/tun", os.O_RDWR)
    flags = (IFF_TUN if kind == "ip" else IFF_TAP) | IFF_NO_PI
    fcntl.ioctl(handle, TUNSETIFF, struct.pack("16sH", name.encode(), flags))
    return handle


def escaped(packet, is_chatty):
    out = bytearray(b"log: a packet follows\r\n\xc0" if is_chatty else b"")
    for byte in packet:
        out += {END: bytes([ESC, ESC_END]), ESC: bytes([ESC, ESC_ESC])}.get(byte, bytes([byte]))
    return bytes(out + bytes([END]))


class Receiver:
    def __init__(self):
        self.packet, self.is_escaped = bytearray(), False

    def packets(self, data):
        for byte in data:
            if byte == END:
                if self.packet:
                    yield bytes(self.packet)
                self.packet, self.is_escaped = bytearray(), False
            elif self.is_escaped:
                self.packet.append({ESC_END: END, ESC_ESC: ESC}.get(byte, byte))
                self.is_escaped = False
            elif byte == ESC:
                self.is_escaped = True
            else:
                self.packet.append(byte)


def serve(line, network, is_chatty):
    receiver = Receiver()
    while True:
        for ready in select.select([line, network], [], [])[0]:
            if ready is line:
                data = line.recv(4096)
                if not data:
                    return
                for packet in receiver.packets(data):
                    try:
                        os.write(network, packet)
                    except OSError as error:  # not for this kind of interface
                        print(f"refused {len(packet)} bytes: {error}", flush=True)
            else:
                data = escaped(os.read(network, 65536), is_chatty)
                for at in range(0, len(data), 13):
                    line.sendall(data[at : at + 13])


def main():
    path, name, kind = sys.argv[1:4]
    network = interface(name, kind)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(1)
    print("listening", flush=True)
    while True:
        line, _ = listener.accept()
        try:
            serve(line, network, "chatty" in sys.argv)
        except (BrokenPipeError, ConnectionResetError):
            pass


main()
