"""A device at the other end of a unix socket, for measuring gateways: ARP and TCP of its own, made to cost little.

usage: guest.py SOCKET ADDRESS GATEWAY; waits for one connection at SOCKET, whose frames have their length in front of
them (4 bytes); says "ready", and how often it had to send again whenever that happens. Port 1 sends one byte back,
2 reads a number and sends so many bytes, 3 counts bytes until their end and answers the number.

A read takes what is there, up to a megabyte; each connection in it is answered once, all of them with one write.
Segments are made in advance: only two numbers and the checksum change from one to the next. Sequence numbers are
always checked, checksums in the first segments of each connection; a wrong one ends the program.
"""

import os
import select
import socket
import struct
import sys
import time

MAC = b"\x02\0\0\0\0\x02"
IPV4, ARP, TCP = 0x0800, 0x0806, 6
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
WINDOW, MSS = 65535, 1460
ROOM = 1 << 20
BULK = 64  # segments that are made in advance
VERIFIED = 16  # segments of a connection whose checksums are looked at
AGAIN = 0.2  # s without an acknowledgement
LAST = 0xFFFF_FFFF

# The length, Ethernet's kind, IPv4's first byte, length, protocol, both addresses and ports, and TCP's own.
HEADERS = struct.Struct(">I 12x H Bx H 5x B 2x 12s II BB H 4x")
SEGMENT = struct.Struct(">I 14s HHIHH 8s 4s IIHHHH")
CHANGING = struct.Struct(">IIHHH")  # numbers, flags, window, checksum
NUMBERS, PACKET, DATA = 42, 18, 58  # where things are behind the start of a length


def value(data):
    """Data as a number, which is congruent to the sum of its words modulo 65535 (RFC 1071)."""
    return int.from_bytes(data, "big") << 8 * (len(data) & 1)


class Connection:
    """Our end of one. What we send is numbered from 0, our SYN; 1 is the first byte."""

    def __init__(self, key, mac, number, options, window):
        self.ethernet = mac + MAC + IPV4.to_bytes(2, "big")
        self.addresses, self.ports = key[4:8] + key[:4], key[10:12] + key[8:10]
        self.port = int.from_bytes(key[10:12], "big")
        self.sums = sum(struct.unpack(">III", self.addresses + self.ports)) + TCP
        self.first = int.from_bytes(os.urandom(4), "big")
        self.mss = min(MSS, announced(options))
        self.expected = number + 1 & LAST
        self.counts = self.port == 3
        self.verified, self.taken, self.request, self.heard_end = 0, 0, b"", False
        self.window = self.widest = window
        self.acknowledged, self.next, self.furthest = 0, 0, 0  # all that was, comes now, ever went
        self.said = (0, 0)  # acknowledgement and window as they came last
        self.length, self.text, self.is_all = 0, b"", False
        self.segments, self.owes, self.since, self.is_over = None, False, 0.0, False

    def segment(self, number, flags, data=b"", options=b""):
        """A whole frame, with its length."""
        length, flags = 20 + len(options) + len(data), (5 + len(options) // 4) << 12 | flags
        ip = 0x4500 + 20 + length + 0x4000 + 0x4006 + sum(struct.unpack(">II", self.addresses))
        sums = self.sums + length + number + self.expected + flags + WINDOW + value(options) + value(data)
        head = SEGMENT.pack(
            34 + length, self.ethernet, 0x4500, 20 + length, 0x4000, 0x4006, 0xFFFF - ip % 0xFFFF, self.addresses,
            self.ports, number, self.expected, flags, WINDOW, 0xFFFF - sums % 0xFFFF, 0,
        )  # fmt: skip
        return head + options + data

    def bulk(self, count):
        """So many segments of full size with zeros, from the next byte on."""
        size, flags = DATA + self.mss, 5 << 12 | ACK
        if self.segments is None:
            self.segments = bytearray(self.segment(0, ACK, bytes(self.mss)) * BULK)
        segments, change, expected, mss = self.segments, CHANGING.pack_into, self.expected, self.mss
        number = self.first + self.next
        sums = self.sums + 20 + mss + expected + flags + WINDOW
        for at in range(NUMBERS, count * size, size):
            number &= LAST
            change(segments, at, number, expected, flags, WINDOW, 0xFFFF - (sums + number) % 0xFFFF)
            number += mss
        self.next += count * mss
        return memoryview(segments)[: count * size]

    def send(self, out, now):
        """Puts what is to be sent now into `out`."""
        before = self.next
        if before == 0:
            out.append(self.segment(self.first, SYN | ACK, options=b"\2\4" + MSS.to_bytes(2, "big")))
            self.next = 1
        elif self.acknowledged:
            self.send_data(out)
        if self.owes and self.next == before:
            out.append(self.segment(self.first + self.next & LAST, ACK))
        if self.next != before and before == self.acknowledged:
            self.since = now
        self.owes, self.furthest = False, max(self.furthest, self.next)

    def send_data(self, out):
        left = 1 + self.length - self.next
        room = self.window - (self.next - self.acknowledged)
        count = min(left // self.mss, room // self.mss, BULK)
        if count > 0 and not self.text:
            out.append(self.bulk(count))
            left, room = left - count * self.mss, room - count * self.mss
        n = min(left, room, self.mss)
        # No small segments while others are on their way, unless it is the last, or much of the window.
        if n > 0 and (n == left or self.next == self.acknowledged or n >= self.widest // 2):
            data = self.text[self.next - 1 : self.next - 1 + n] if self.text else bytes(n)
            out.append(self.segment(self.first + self.next & LAST, ACK | PSH, data))
            self.next, left = self.next + n, left - n
        if left == 0 and self.is_all:
            out.append(self.segment(self.first + self.next & LAST, ACK | FIN))
            self.next += 1

    def hear(self, acknowledgement, window, now):
        """What the other end says of what we sent."""
        self.said = (acknowledgement, window)
        n = (acknowledgement - self.first - self.acknowledged) & LAST
        if n <= self.furthest - self.acknowledged:
            self.window, self.widest = window, max(window, self.widest)
            if n:
                self.acknowledged += n
                self.next, self.since = max(self.next, self.acknowledged), now

    def take(self, data, ends):
        """What the other end sent, in order."""
        self.expected = self.expected + len(data) + ends & LAST
        self.taken, self.owes = self.taken + len(data), True
        if self.port == 1 and data and not self.is_all:
            self.answer(bytes(data[:1]))
        elif self.port == 2 and not self.is_all:
            self.request += data
            if self.request.endswith(b"\n"):
                self.length, self.is_all = int(self.request), True
        if ends:
            self.heard_end = True
            if not self.is_all:
                self.answer(b"%d\n" % self.taken if self.counts else b"")

    def answer(self, text):
        self.text, self.length, self.is_all = text, len(text), True

    def is_done(self):
        return self.is_over or (self.heard_end and self.is_all and self.acknowledged == 2 + self.length)

    def waits(self):
        """Whether something has to be acknowledged, or there is no room for what is to be sent."""
        return self.next > self.acknowledged or 1 + self.length > self.acknowledged > 0

    def again(self, out, now):
        """Everything that was not acknowledged, from the first byte; a byte if the window is closed."""
        self.next, self.window, self.since = self.acknowledged, max(self.window, 1), now
        self.send(out, now)


def announced(options):
    """The longest segment that the other end wants (RFC 9293 section 3.7.1)."""
    at = 0
    while at + 4 <= len(options) and options[at]:
        if options[at] == 2:
            return int.from_bytes(options[at + 2 : at + 4], "big")
        at += 1 if options[at] == 1 else max(options[at + 1], 2)
    return 536


class Line:
    """All connections over one stream of frames."""

    def __init__(self, stream, address, gateway):
        self.stream, self.address, self.gateway = stream, address, gateway
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, int(AGAIN * 1e6)))
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)
        self.connections, self.room, self.repeated = {}, bytearray(ROOM + DATA), 0
        self.out, self.pending, self.now, self.looked = [], b"", time.monotonic(), 0.0

    def serve(self):
        view, held = memoryview(self.room), 0
        self.out.append(self.arp(1, b"\xff" * 6, bytes(6), self.gateway))
        while True:
            if self.pending or self.out:
                self.flush()
            if self.pending:
                select.select([self.stream], [self.stream], [])
            try:
                count = self.stream.recv_into(view[held:ROOM], 0, socket.MSG_DONTWAIT if self.pending else 0)
            except BlockingIOError:
                count = None  # nothing came for a while
            if count == 0:
                return
            self.now = time.monotonic()
            if count:
                filled = held + count
                at, touched = self.read(filled)
                held = filled - at
                if held:
                    self.room[:held] = self.room[at:filled]
                self.respond(touched)
            if self.now - self.looked > AGAIN / 4:
                self.look()

    def flush(self):
        """One write for everything; what does not fit is kept."""
        data = b"".join([self.pending, *self.out])
        self.out.clear()
        try:
            sent = self.stream.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        self.pending = data[sent:]

    def read(self, filled):
        """Takes the frames that are whole: where the rest begins, and the connections that were spoken to."""
        room, headers, find, touched, at = self.room, HEADERS.unpack_from, self.connections.get, {}, 0
        while filled - at >= 4:
            fields = length, kind, first, total, protocol, key, number, ack, offset, flags, window = headers(room, at)
            end = at + 4 + length
            if end > filled:
                break
            if kind == IPV4 and first == 0x45 and protocol == TCP:
                connection = find(key)
                data = at + PACKET + 20 + (offset >> 4) * 4
                n = at + PACKET + total - data
                # Nearly every one of a transfer is such a segment.
                if (
                    connection and connection.verified == VERIFIED and number == connection.expected
                    and flags & ~PSH == ACK and (connection.counts or n == 0)
                ):  # fmt: skip
                    connection.expected = number + n & LAST
                    connection.taken += n
                    connection.owes |= n > 0
                    if connection.said != (ack, window):
                        connection.hear(ack, window, self.now)
                    if n == end - at - DATA and filled - end > 3 * n > 0:
                        end = self.run(connection, at, end, filled)
                else:
                    connection = self.segment(connection, at, data, n, fields)
                touched[key] = connection
            elif kind == ARP:
                self.take_arp(room[at + PACKET : end])
            at = end
            if end + 4 > filled:
                break
        return at, touched

    def run(self, connection, at, end, filled):
        """Takes the segments behind the one from `at` to `end` that differ from it in their number alone: their end."""
        size, number, view = end - at, connection.expected, memoryview(self.room)
        alike = struct.Struct(f">4s 12x 6s 8x 12s I 8s 4x {size - DATA}x")
        length, kind, key, _, rest = alike.unpack_from(view, at)
        for one in alike.iter_unpack(view[end : filled - (filled - end) % size]):
            if one != (length, kind, key, number, rest):
                break
            number, end = number + size - DATA & LAST, end + size
        connection.taken += (number - connection.expected) & LAST
        connection.expected = number
        return end

    def segment(self, connection, at, data, n, fields):
        """One segment that is not like most; the connection, if it is or was one."""
        key, number, ack, flags, window = fields[5], fields[6], fields[7], fields[9], fields[10]
        segment = self.room[at + PACKET + 20 : data + n]
        if connection is None or connection.verified < VERIFIED:
            verify(self.room[at + PACKET : at + PACKET + 20], segment, key)
        if connection is None:
            if flags & (SYN | ACK | RST) != SYN or key[4:8] != self.address:
                return None
            connection = Connection(key, bytes(self.room[at + 10 : at + 16]), number, segment[20:], window)
            self.connections[key] = connection
            return connection
        connection.verified = min(connection.verified + 1, VERIFIED)
        if flags & RST:
            connection.is_over = number == connection.expected
        elif flags & ACK:
            connection.hear(ack, window, self.now)
            if number == connection.expected:
                connection.take(self.room[data : data + n], flags & FIN)
            connection.owes |= n > 0 or flags & FIN
        return connection

    def respond(self, touched):
        for key, connection in touched.items():
            if connection:
                connection.send(self.out, self.now)
                if connection.is_done():
                    self.connections.pop(key, None)

    def look(self):
        """Sends again what was not acknowledged for long."""
        self.looked = self.now
        late = [one for one in self.connections.values() if one.waits() and self.now - one.since > AGAIN]
        for connection in late:
            connection.again(self.out, self.now)
        if late:
            self.repeated += len(late)
            print(f"repeated {self.repeated}", flush=True)

    def arp(self, operation, destination, mac, ip):
        message = struct.pack(">HHBBH6s4s6s4s", 1, IPV4, 6, 4, operation, MAC, self.address, mac, ip)
        return struct.pack(">I6s6sH", 14 + len(message), destination, MAC, ARP) + message

    def take_arp(self, message):
        if len(message) >= 28 and message[6:8] == b"\0\1" and message[24:28] == self.address:
            mac, ip = bytes(message[8:14]), bytes(message[14:18])
            self.out.append(self.arp(2, mac, mac, ip))


def verify(header, segment, key):
    """Both checksums; a gateway that sends wrong ones is not measured."""
    sums = value(segment) + sum(struct.unpack(">II", key[:8])) + TCP + len(segment)
    if value(header) % 0xFFFF or sums % 0xFFFF:
        raise SystemExit(f"wrong checksum: {header.hex()} {segment[:40].hex()}")


def main(path, address, gateway):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        stream, _ = listener.accept()
    with stream:
        Line(stream, socket.inet_aton(address), socket.inet_aton(gateway)).serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
