"""A capture of mixed frames shown as lines, hex dumps and JSON, beside tcpdump and tshark.

tshark, which takes long, runs once, on the first 50 000 frames.
"""

import os
import re
from subprocess import DEVNULL

from bench import SENDER
from captures import HEADER, PACKET
from table import Figure, Goal, rate

TOOLS = {"tcpdump": "tcpdump", "tshark": "tshark"}
ROOT = False
FIGURES = [
    Figure("lines", "lines: -nn -r", "frames/s", rate, Goal(4, at_most=False)),
    Figure("hex", "hex dumps: -nn -xx -r", "frames/s", rate, Goal(15, at_most=False)),
    Figure("json", "JSON lines: tshark -T ek", "frames/s", rate, Goal(100, at_most=False)),
]
FEW = 50_000
PATIENCE = 300


def versions(bench):
    tcpdump = re.search(r"version (\S+)", bench.check("tcpdump", "--version"))
    tshark = re.search(r"(\d+\.[\d.]+\d)", bench.check("tshark", "--version"))
    theirs = f"tcpdump {tcpdump[1]}, tshark {tshark[1]}"
    return {"uarttool": bench.check(bench.uarttool, "--version").strip(), "tcpdump": theirs}


def contenders(bench):
    decode = Decode(bench)
    return {"uarttool": decode.ours, "tcpdump": decode.theirs}


class Decode:
    """The capture and its beginning, and who reads them."""

    def __init__(self, bench):
        self.bench = bench
        self.count = 200_000 if bench.quick else 1_000_000
        self.all = bench.traffic(self.count)
        self.few = beginning(self.all, bench.folder / "few.pcap", FEW)
        self.first = True
        bench.note(f"{self.count} mixed frames, {self.all.stat().st_size / 1e6:.0f} MB; output goes to /dev/null")

    def rate(self, count, *command):
        """Frames a second of a program that writes to nowhere."""
        return count / self.bench.run(*command, on=SENDER, patience=PATIENCE, stdout=DEVNULL).seconds

    def ours(self):
        decode = (self.bench.uarttool, "decode")
        return {
            "lines": self.rate(self.count, *decode, self.all),
            "hex": self.rate(self.count, *decode, "-xx", self.all),
            "json": self.rate(self.count, *decode, "--json", self.all),
        }

    def theirs(self):
        tcpdump = ("tcpdump", "-nn")
        values = {
            "lines": self.rate(self.count, *tcpdump, "-r", self.all),
            "hex": self.rate(self.count, *tcpdump, "-xx", "-r", self.all),
        }
        if self.first:
            self.first = False
            values["json"] = self.rate(FEW, "tshark", "-r", self.few, "-T", "ek")
        return values


def beginning(capture, path, count):
    """The first frames of a capture as a capture."""
    with open(capture, "rb") as source:
        source.seek(0, os.SEEK_END)
        end, at = source.tell(), HEADER.size
        for _ in range(count):
            if at >= end:
                break
            source.seek(at)
            at += PACKET.size + PACKET.unpack(source.read(PACKET.size))[2]
        source.seek(0)
        path.write_bytes(source.read(at))
    return path
