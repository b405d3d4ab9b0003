"""A capture sent again: gaps and drift at recorded speed, frames a second at top speed, beside tcpreplay.

uarttool sends through TCP to a reader on loopback, tcpreplay through a veth pair to nobody, both in an empty network
namespace. Arrivals are the kernel's stamps (see arrivals.py), of TCP segments on lo there, of frames at the far
end of the pair here. Every byte that arrives is compared with the capture.
"""

import hashlib
import re
import struct
import sys
from pathlib import Path
from subprocess import PIPE, STDOUT

from arrivals import ETH_P_ALL, Arrivals, judged
from bench import RECEIVER, SENDER, Failed, last, shown
from captures import to_device, write
from table import Figure, Goal, rate, share

TOOLS = {"tcpreplay": "tcpreplay", "ip": "iproute2", "taskset": "util-linux"}
ROOT = True
GAPS = {"1ms": 1000, "100us": 100}  # us
SPACED = {"1ms": "1 ms", "100us": "100 us"}
DRIFT = Goal(0.001, at_most=True, ratio=False)
FIGURES = [
    figure
    for gap, title in SPACED.items()
    for figure in (
        Figure(f"gap_p50_{gap}", f"{title} apart: gap error p50", "s", goal=Goal(0.1, at_most=True)),
        Figure(f"gap_p99_{gap}", f"{title} apart: gap error p99", "s"),
        Figure(f"drift_{gap}", f"{title} apart: drift at the end", "s", goal=DRIFT),
        Figure(f"processor_{gap}", f"{title} apart: of a processor", "share", share),
    )
] + [Figure("top_speed", "top speed, frames", "frames/s", rate, Goal(2, at_most=False))]
PATIENCE = 120
SINK = Path(__file__).resolve().parents[1] / "sink.py"
ETH_P_IP = 0x0800


def versions(bench):
    said = bench.run("tcpreplay", "--version")
    version = re.search(r"tcpreplay version: (\S+)", said.out + said.err)
    theirs = f"tcpreplay {version[1]}" if version else "tcpreplay"
    return {"uarttool": bench.check(bench.uarttool, "--version").strip(), "tcpreplay": theirs, "nano": "its --timer=nano"}


def contenders(bench):
    bench.own_network()
    bench.check(*"ip link add name wire0 type veth peer name wire1".split())
    for end in ("wire0", "wire1"):
        bench.check("ip", "link", "set", end, "up")
    replay = Replay(bench)
    return {
        "uarttool": lambda: replay.round(replay.ours, replay.ours_fast),
        "tcpreplay": lambda: replay.round(replay.theirs, replay.theirs_fast),
        "nano": lambda: replay.round(replay.sleeping, None),
    }


class Replay:
    """The captures, and each program's way to send one."""

    def __init__(self, bench):
        self.bench = bench
        counts = {"1ms": 2_000, "100us": 10_000} if bench.quick else {"1ms": 10_000, "100us": 10_000}
        distinct, self.times = (50_000, 4) if bench.quick else (200_000, 5)
        mixed = to_device(bench, distinct)
        self.timed = {}
        for gap, count in counts.items():
            frames = mixed[:count]
            self.timed[gap] = (frames, write(bench.folder / f"{gap}.pcap", frames, GAPS[gap]))
        self.fast_frames = len(mixed) * self.times
        self.fast_bytes = sum(map(len, mixed)) * self.times
        self.fast = write(bench.folder / "fast.pcap", mixed, 100, self.times)
        said = ", ".join(f"{count} frames {SPACED[gap]} apart" for gap, count in counts.items())
        bench.note(f"{said}; {self.fast_frames} at top speed, {self.fast_bytes / self.fast_frames:.0f} bytes each on average")
        bench.note("between frames tcpreplay looks at the clock, with --timer=nano it sleeps; goals are towards the first")
        bench.note("arrivals are the kernel's stamps: of TCP segments on lo for uarttool, of frames on veth for tcpreplay")

    def round(self, timed, fast):
        values = {}
        for gap, (frames, capture) in self.timed.items():
            stamps, busy = timed(frames, capture)
            found = judged(stamps, GAPS[gap] * 1000) | {"processor": busy / (len(frames) * GAPS[gap] / 1e6)}
            values |= {f"{key}_{gap}": value for key, value in found.items()}
        if fast:
            values["top_speed"] = self.fast_frames / fast()
        return values

    def arrivals(self, interface, protocol, send):
        """What arrived while `send` ran, and what that returned; once again if the stamps are no good."""
        for _ in range(3):
            arrivals = Arrivals(interface, protocol)
            try:
                returned = send()
            finally:
                seen, why = arrivals.finish()
            if seen:
                return seen, returned
        raise Failed(f"no good stamps: {why or 'nothing arrived'}")

    def replayed(self, capture, total, *options, keep=False):
        """Our replay into a sink: the sink's port and seconds, the hash of the bytes if kept, our processor's seconds."""
        reader = (sys.executable, "-B", SINK, total, *(["keep"] if keep else []))
        sink = self.bench.start(*reader, on=RECEIVER, stdout=PIPE, stderr=STDOUT)
        port = int(sink.stdout.readline())
        command = (
            self.bench.uarttool, "replay", capture, "-d", f"tcp:127.0.0.1:{port}",
            "--no-attach", "--only", "to-device", "--no-wait", "-q", *options,
        )  # fmt: skip
        done = self.bench.run(*command, on=SENDER, patience=PATIENCE)
        try:
            seconds, digest = self.bench.finished(sink, ("sink",), 10)[0].split()
        except Failed as failed:
            raise Failed(f"{failed}; {shown(command)} said: {last(done.err.encode())}") from None
        return port, float(seconds), digest, done.busy

    def ours(self, frames, capture):
        stream = b"".join(len(frame).to_bytes(2, "big") + frame for frame in frames)
        send = lambda: self.replayed(capture, len(stream), keep=True)
        seen, (port, _, digest, busy) = self.arrivals("lo", ETH_P_IP, send)
        if digest != hashlib.sha256(stream).hexdigest():
            raise Failed("what uarttool sent is not what the capture holds")
        return stamps_of(frames, seen, port), busy

    def ours_fast(self):
        return self.replayed(self.fast, self.fast_bytes + 2 * self.fast_frames, "-t")[1]

    def theirs(self, frames, capture, *options):
        send = lambda: self.bench.run("tcpreplay", "-q", *options, "-i", "wire0", capture, on=SENDER, patience=PATIENCE)
        seen, done = self.arrivals("wire1", ETH_P_ALL, send)
        if [frame for _, frame in seen] != frames:
            raise Failed(f"what tcpreplay sent is not what the capture holds: {len(seen)} frames of {len(frames)}")
        return [stamp for stamp, _ in seen], done.busy

    def sleeping(self, frames, capture):
        """Their way to wait that leaves the processor to others, as ours does; by default they look at the clock all the time."""
        return self.theirs(frames, capture, "--timer=nano")

    def theirs_fast(self):
        before = self.received()
        command = ["tcpreplay", "-q", "--topspeed", "--preload-pcap", "-i", "wire0", self.fast]
        out = self.bench.run(*command, on=SENDER, patience=PATIENCE).out
        report = re.search(r"Actual: (\d+) packets .* sent in ([\d.]+) seconds", out)
        arrived = self.received() - before
        if not report or int(report[1]) != self.fast_frames or arrived != self.fast_frames:
            raise Failed(f"tcpreplay sent {report and report[1]} of {self.fast_frames} frames, {arrived} arrived")
        return float(report[2])

    def received(self):
        """How many frames came to the far end of the pair so far."""
        shown = self.bench.check("ip", "-s", "-o", "link", "show", "wire1")
        return int(re.search(r"RX:.*?\\\s*\d+\s+(\d+)", shown)[1])


def stamps_of(frames, seen, port):
    """When the last byte of each frame arrived on lo, of what was sent to `port` there."""
    segments, first = [], None
    for stamp, frame in seen:
        ip = 14 + 4 * (frame[14] & 15)
        source, destination, sequence = struct.unpack_from(">HHI", frame, ip)
        if frame[23] != 6 or destination != port:
            continue
        size = int.from_bytes(frame[16:18], "big") - (ip - 14) - 4 * (frame[ip + 12] >> 4)
        if size > 0:
            first = sequence if first is None else first
            segments.append((((sequence - first) & 0xFFFF_FFFF) + size, stamp))
    stamps, wanted, reached, stamp, rest = [], 0, 0, None, iter(segments)
    for frame in frames:
        wanted += 2 + len(frame)
        while reached < wanted:
            end, when = next(rest, (None, None))
            if end is None:
                raise Failed("segments are missing among those that were stamped")
            if end > reached:  # the first time that these bytes came
                reached, stamp = end, when
        stamps.append(stamp)
    return stamps
