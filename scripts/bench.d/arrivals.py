"""When frames arrive at an interface, as the kernel stamps them: the same stamp at the same place for every program.

Linux stamps a frame as it comes in from the driver, and for loopback and veth that is still inside the sender's
system call. So the stamps say when each frame was sent, and how long a receiver takes to wake up is not in them.
"""

import socket
import statistics
import struct
import threading
import time

SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
ETH_P_ALL, PACKET_OUTGOING = 3, 4
STAMP = struct.Struct("qq")
STATISTICS = struct.Struct("II")
SOL_PACKET, PACKET_STATISTICS = 263, 6


class Arrivals:
    """Collects what comes in at `interface`, with its stamps, until `finish`."""

    def __init__(self, interface, protocol=ETH_P_ALL):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.socket.bind((interface, protocol))
        self.socket.settimeout(0.2)
        self.seen = []
        self.step = clock_step()
        self.finished = threading.Event()
        self.thread = threading.Thread(target=self.collect, daemon=True)
        self.thread.start()

    def collect(self):
        while True:
            try:
                frame, extra, _, address = self.socket.recvmsg(1 << 16, 64)
            except TimeoutError:
                if self.finished.is_set():
                    return
                continue
            if address[2] != PACKET_OUTGOING:
                seconds, nanoseconds = STAMP.unpack(extra[0][2])
                self.seen.append((seconds * 1_000_000_000 + nanoseconds, frame))

    def finish(self):
        """What came in, as (nanoseconds, bytes); nothing if the stamps are no good, with the reason."""
        self.finished.set()
        self.thread.join()
        dropped = STATISTICS.unpack(self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, STATISTICS.size))[1]
        self.socket.close()
        if dropped:
            return None, f"{dropped} frames were not stamped"
        if abs(clock_step() - self.step) > 100_000:
            return None, "the clock was set meanwhile"
        return self.seen, None


def clock_step():
    """Nanoseconds between the clock that stamps and the one that nobody sets."""
    return min(
        (time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC) for _ in range(9)),
    )


def judged(stamps, gap_ns):
    """How frames that should be `gap_ns` apart came, in seconds.

    Drift is how much later the last twentieth came than the first, by medians: what adds up along the way, and
    not whether the very first or last one had bad luck. What adds up evenly shows nineteen twentieths of itself.
    """
    errors = sorted(abs(after - before - gap_ns) for before, after in zip(stamps, stamps[1:]))
    late = [stamp - stamps[0] - gap_ns * n for n, stamp in enumerate(stamps)]
    part = max(len(late) // 20, 1)
    return {
        "gap_p50": statistics.median(errors) / 1e9,
        "gap_p99": errors[min(len(errors) * 99 // 100, len(errors) - 1)] / 1e9,
        "drift": (statistics.median(late[-part:]) - statistics.median(late[:part])) / 1e9,
    }
