"""The gateway beside libslirp, QEMU's user network: 200 connections at once, and a forward's throughput either way.

Both have the same guest behind a unix socket (see guest.py), and run by turns: ours as `bridge`, theirs in a QEMU
without a machine. Client and guest share a processor, the gateway has the other one.
"""

import re
import socket
import statistics
import sys
import time
from pathlib import Path
from subprocess import PIPE, STDOUT

from bench import RECEIVER, SENDER, Failed
from table import Figure, Goal, rate, seconds, share

TOOLS = {"qemu-system-arm": "qemu-system-arm"}
ROOT = False
FIGURES = [
    Figure("at_once", "200 connections at once", "s", goal=Goal(0.2, at_most=True)),
    Figure("down", "forward, bytes from the guest", "bytes/s", rate, Goal(2.0, at_most=False)),
    Figure("down_cpu", "  the gateway's processor time per GB", "s/GB", seconds, Goal(0.6, at_most=True)),
    Figure("up", "forward, bytes to the guest", "bytes/s", rate, Goal(1.3, at_most=False)),
    Figure("up_cpu", "  the gateway's processor time per GB", "s/GB", seconds, Goal(0.9, at_most=True)),
]
FOLDER = Path(__file__).resolve().parents[1]
PATIENCE = 20  # s
HOST, GUEST, PORTS = "10.0.2.2", "10.0.2.15", (1, 2, 3)
WAYS = {"down": "from", "up": "to"}


def versions(bench):
    theirs = re.search(r"version (\S+)", bench.check("qemu-system-arm", "--version"))
    return {"uarttool": bench.check(bench.uarttool, "--version").strip(), "libslirp": f"libslirp of QEMU {theirs[1]}"}


def contenders(bench):
    size = 50_000_000 if bench.quick else 200_000_000
    bench.note(f"{size / 1e6:.0f} MB each way through one connection; the gateway is the sender here, guest and client are receivers")
    ours, theirs = Gateway(bench, "uarttool", size), Gateway(bench, "libslirp", size)
    ports = ours.ports
    ours.start(
        bench.uarttool, "bridge", "-d", f"unix:{ours.path},framing=len32be", "--no-attach",
        "--host-ip", HOST, "--device-ip", GUEST, "--device-mac", "02:00:00:00:00:02",
        "--forward", ",".join(f"127.0.0.1:{ports[port]}:{port}" for port in PORTS), "--control", bench.folder / "control",
    )  # fmt: skip
    forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{theirs.ports[port]}-{GUEST}:{port}" for port in PORTS)
    theirs.start(
        "qemu-system-arm", "-M", "none", "-nodefaults", "-display", "none", "-monitor", "none",
        "-netdev", f"user,id=u,ipv6=off,{forwards}", "-netdev", "hubport,id=h0,hubid=0,netdev=u",
        "-netdev", f"stream,id=s,server=off,addr.type=unix,addr.path={theirs.path}",
        "-netdev", "hubport,id=h1,hubid=0,netdev=s",
    )  # fmt: skip
    both = {gateway.name: gateway for gateway in (ours, theirs)}
    for gateway in both.values():
        gateway.wait()
    return {name: lambda gateway=gateway: gateway.round(both) for name, gateway in both.items()}


def free_ports():
    """A port of this machine for each of the guest's."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    ports = {port: one.getsockname()[1] for port, one in zip(PORTS, sockets)}
    for one in sockets:
        one.close()
    return ports


def processor_time(process):
    """Seconds on a processor until now, of all threads (clock_getcpuclockid(3))."""
    return time.clock_gettime(~process.pid << 3 | 2)


class Gateway:
    """A gateway with its guest, measured from the host's side."""

    def __init__(self, bench, name, size):
        self.bench, self.name, self.size = bench, name, size
        self.ports, self.path, self.log = free_ports(), bench.folder / f"{name}.sock", bench.folder / f"{name}.log"
        self.shares = {way: {} for way in WAYS}
        self.said = open(bench.folder / f"{name}-guest.log", "w+")
        guest = (sys.executable, "-B", FOLDER / "guest.py", self.path, GUEST, HOST)
        self.guest = bench.start(*guest, on=RECEIVER, stdout=self.said, stderr=STDOUT)
        deadline = time.monotonic() + PATIENCE
        while not self.heard():
            if time.monotonic() > deadline or self.guest.poll() is not None:
                raise Failed(f"the guest did not start: {self.heard()}")
            time.sleep(0.01)
        self.gateway = None

    def heard(self):
        self.said.seek(0)
        return self.said.read()

    def start(self, *command):
        with open(self.log, "wb") as out:
            self.gateway = self.bench.start(*command, on=SENDER, stdout=out, stderr=out)

    def wait(self):
        """Until a byte comes back through the forward."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.ports[1]), timeout=2) as connection:
                    connection.sendall(b"x")
                    if connection.recv(1) == b"x":
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise Failed(f"{self.name}: nothing comes back: {self.log.read_text(errors='replace')[-500:]} {self.heard()}")

    def round(self, both):
        values = {"at_once": self.client("burst", 1, 200)[0]}
        for way, port in (("down", 2), ("up", 3)):
            elapsed, busy = self.client(way, port, self.size)
            values |= {way: self.size / elapsed, f"{way}_cpu": busy["gateway"] * 1e9 / self.size}
            for who, taken in busy.items():
                self.shares[way].setdefault(who, []).append(taken / elapsed)
        tell(self.bench, both)
        return values

    def client(self, what, port, count):
        """Seconds that it took, and how long each was on a processor meanwhile."""
        processes = {"gateway": self.gateway, "guest": self.guest}
        before = {who: processor_time(process) for who, process in processes.items()}
        client = (sys.executable, "-B", FOLDER / "client.py", what, self.ports[port], count)
        try:
            done = self.bench.run(*client, on=RECEIVER)
            busy = {who: processor_time(process) - before[who] for who, process in processes.items()}
        except (Failed, OSError) as failed:
            raise Failed(f"{self.name}, {what}: {failed}; its guest said: {self.heard()[-500:]}") from None
        elapsed, busy["client"], left = map(float, done.out.split())
        if left:
            self.bench.note(f"{self.name}: {left:.0f} of {count} connections were not served in {elapsed:.0f} s")
        return elapsed, busy


def tell(bench, both):
    """Notes of what there is until now: how busy each was, as medians, and whether anything was lost."""
    bench.notes[:] = [note for note in bench.notes if not note.startswith(("busy", "lost"))]
    for way, word in WAYS.items():
        said = []
        for name, gateway in both.items():
            shares = {who: share(statistics.median(values)) for who, values in gateway.shares[way].items()}
            if shares:
                said.append(f"{name} {shares['gateway']}, its guest {shares['guest']}, the client {shares['client']}")
        bench.note(f"busy, of a processor, {word} the guest: {'; '.join(said)}")
    bench.note("busy with nearly 100 % is who sets the pace; a guest that keeps up is awake for every frame")
    for name, gateway in both.items():
        if repeated := re.findall(r"repeated (\d+)", gateway.heard()):
            bench.note(f"lost: the guest of {name} had to send again {repeated[-1]} times")
