"""The gateway beside libslirp, QEMU's user network: 200 connections at once, and a forward's throughput either way.

Both have the same guest, Linux's own stack behind a TAP interface in a network namespace, and run by turns.
"""

import re
import selectors
import socket
import sys
import time
from pathlib import Path
from subprocess import PIPE

from bench import Failed
from table import Figure, Goal, rate

TOOLS = {"ip": "iproute2", "qemu-system-arm": "qemu-system-arm"}
ROOT = True
FIGURES = [
    Figure("at_once", "200 connections at once", "s", goal=Goal(0.2, at_most=True)),
    Figure("down", "forward, bytes from the guest", "bytes/s", rate, Goal(2.0, at_most=False)),
    Figure("up", "forward, bytes to the guest", "bytes/s", rate, Goal(1.3, at_most=False)),
]
GUEST = Path(__file__).resolve().parents[1] / "guest.py"
PATIENCE = 20  # s
BASES = {"uarttool": 20000, "libslirp": 30000}


def versions(bench):
    theirs = re.search(r"version (\S+)", bench.check("qemu-system-arm", "--version"))
    return {"uarttool": bench.check(bench.uarttool, "--version").strip(), "libslirp": f"libslirp of QEMU {theirs[1]}"}


def contenders(bench):
    bench.own_network()
    for tap, address in (("ours", "10.0.2.15/24"), ("theirs", "10.0.3.15/24")):
        bench.check("ip", "tuntap", "add", tap, "mode", "tap")
        bench.check("ip", "link", "set", tap, "up")
        bench.check("ip", "address", "add", address, "dev", tap)
    guest = bench.start(sys.executable, "-B", GUEST, "10.0.2.15", "10.0.3.15", stdout=PIPE)
    if not guest.stdout.readline():
        raise Failed("the guest's server did not start")
    control, log = bench.folder / "control", bench.folder / "gateway.log"
    with open(log, "wb") as out:
        bench.start(
            bench.uarttool, "bridge", "-d", "tap:ours", "--no-attach", "--host-ip", "10.0.2.2",
            "--device-ip", "10.0.2.15", "--forward", "20001-20003:1-3", "--control", control, stdout=out, stderr=out,
        )  # fmt: skip
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{30000 + port}-10.0.3.15:{port}" for port in (1, 2, 3))
        bench.start(
            "qemu-system-arm", "-M", "none", "-nodefaults", "-display", "none",
            "-netdev", f"user,id=u,net=10.0.3.0/24,{forwards}",
            "-netdev", "hubport,id=h0,hubid=0,netdev=u",
            "-netdev", "tap,id=t,ifname=theirs,script=no,downscript=no",
            "-netdev", "hubport,id=h1,hubid=0,netdev=t", stdout=out, stderr=out,
        )  # fmt: skip
    gateway = Gateway(bench, log)
    for base in BASES.values():
        gateway.wait_for(base)
    return {name: lambda base=base: gateway.round(base) for name, base in BASES.items()}


class Gateway:
    """Both gateways' forwards, measured from the host's side."""

    def __init__(self, bench, log):
        self.bench, self.log = bench, log
        self.size = 50_000_000 if bench.quick else 200_000_000
        bench.note(f"{self.size / 1e6:.0f} MB each way through one connection")

    def wait_for(self, base):
        """Until a byte comes back through the forward."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", base + 1), timeout=2) as connection:
                    connection.sendall(b"x")
                    if connection.recv(1) == b"x":
                        return
            except OSError:
                pass
            time.sleep(0.1)
        raise Failed(f"nothing comes back through port {base + 1}: {self.log.read_text(errors='replace')[-500:]}")

    def round(self, base):
        return {"at_once": self.at_once(base), "down": self.down(base), "up": self.up(base)}

    def at_once(self, base, count=200):
        """Seconds until `count` connections, all begun at once, have got their byte back."""
        started = time.monotonic()
        chosen, left = selectors.DefaultSelector(), count
        for _ in range(count):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", base + 1))
            chosen.register(connection, selectors.EVENT_WRITE)
        while left:
            if time.monotonic() - started > PATIENCE:
                self.bench.note(f"port {base + 1}: not all of 200 connections were served in {PATIENCE} s")
                for key in list(chosen.get_map().values()):
                    key.fileobj.close()
                break
            for key, events in chosen.select(1):
                if events & selectors.EVENT_WRITE:
                    key.fileobj.send(b"x")
                    chosen.modify(key.fileobj, selectors.EVENT_READ)
                elif key.fileobj.recv(1) == b"x":
                    chosen.unregister(key.fileobj)
                    key.fileobj.close()
                    left -= 1
        return time.monotonic() - started

    def down(self, base):
        """Bytes a second from the guest."""
        with socket.create_connection(("127.0.0.1", base + 2), timeout=PATIENCE) as connection:
            started, room, left = time.monotonic(), bytearray(1 << 20), self.size
            connection.sendall(b"%d\n" % self.size)
            while left > 0:
                count = connection.recv_into(room)
                if not count:
                    raise Failed(f"port {base + 2}: {left} bytes are missing")
                left -= count
            return self.size / (time.monotonic() - started)

    def up(self, base):
        """Bytes a second to the guest."""
        block, left = bytes(1 << 20), self.size
        with socket.create_connection(("127.0.0.1", base + 3), timeout=PATIENCE) as connection:
            started = time.monotonic()
            while left > 0:
                left -= connection.send(block[:left])
            connection.shutdown(socket.SHUT_WR)
            taken = int(connection.makefile().readline() or 0)
            if taken != self.size:
                raise Failed(f"port {base + 3}: {taken} of {self.size} bytes arrived")
            return self.size / (time.monotonic() - started)
