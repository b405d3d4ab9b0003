"""What a row is given: a folder, processes that end with it, processors to pin them to, a network of its own."""

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
CLONE_NEWNET = 0x4000_0000
SENDER, RECEIVER = "sender", "receiver"


class Failed(Exception):
    """Why a row could not be measured, as a sentence."""


@dataclass
class Done:
    """A program that ran: how long, how long on a processor, what it said."""

    seconds: float
    busy: float
    out: str
    err: str


class Bench:
    """One row's surroundings, gone with `close`."""

    def __init__(self, folder, quick, pin):
        self.folder, self.quick = folder, quick
        processors = sorted(os.sched_getaffinity(0))
        self.pinned = pin and len(processors) > 1 and shutil.which("taskset") is not None
        self.receiver, self.sender = (processors[0], processors[-1]) if self.pinned else (None, None)
        self.preferred = os.geteuid() == 0
        self.placed = False  # whether any program was pinned or preferred
        self.running = []
        self.notes = []
        # Nothing of the user's: no tunnel that is shared, no device that is set.
        self.environment = {name: value for name, value in os.environ.items() if name != "UARTTOOL_DEVICE"}
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        self.environment |= {"XDG_RUNTIME_DIR": str(runtime), "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        self.uarttool = os.environ["UARTTOOL"]

    def note(self, text):
        """A line below the table, once."""
        if text not in self.notes:
            self.notes.append(text)

    def own_network(self):
        """Leaves the machine's network for an empty one, which ends with this process."""
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            raise Failed(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")
        self.check("ip", "link", "set", "lo", "up")

    def check(self, *command):
        """Runs something that has to work; its stdout."""
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        if done.returncode:
            raise Failed(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def start(self, *command, on=None, **options):
        """Starts a program; a sender or a receiver on its processor where there are two, before others where we may."""
        self.placed |= on is not None
        if on and self.pinned:
            command = ("taskset", "-c", str({SENDER: self.sender, RECEIVER: self.receiver}[on]), *command)
        if on and self.preferred:
            command = ("nice", "-n", "-20", *command)
        options = {"stdin": subprocess.DEVNULL, "env": self.environment, "cwd": self.folder} | options
        process = subprocess.Popen([str(part) for part in command], start_new_session=True, **options)
        self.running.append(process)
        if on and self.preferred:
            with contextlib.suppress(OSError):  # where Linux groups processes by session, `nice` alone is not heard
                Path(f"/proc/{process.pid}/autogroup").write_text("-20")
        return process

    def run(self, *command, patience=120, **options):
        """Runs a program to its end, while no other one of ours ends."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        started, used = time.monotonic(), processor_seconds()
        process = self.start(*command, **options)
        out, err = self.finished(process, command, patience)
        return Done(time.monotonic() - started, processor_seconds() - used, out, err)

    def finished(self, process, command, patience):
        """Waits for a program, which has to succeed: stdout and stderr as text."""
        try:
            out, err = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise Failed(f"{shown(command)} did not end within {patience} s: {last(err or out)}") from None
        if process.returncode:
            raise Failed(f"{shown(command)} ended with {process.returncode}: {last(err or out)}")
        return (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace")

    def traffic(self, frames, seed=1):
        """A pcap of mixed frames, as busy lines carry them."""
        path = self.folder / f"traffic-{frames}-{seed}.pcap"
        if not path.exists():
            self.check(os.environ["UARTTOOL_TRAFFIC"], str(path), str(frames), str(seed))
        return path

    def close(self):
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def processor_seconds():
    """What programs that have ended took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def shown(command):
    return " ".join(Path(str(command[0])).name if n == 0 else str(part) for n, part in enumerate(command))


def last(text):
    """What a program said of its failure, or else last."""
    lines = (text or b"").decode(errors="replace").strip().splitlines()
    failures = [line for line in lines if line.startswith(("error", "uarttool: "))]
    return " / ".join((failures or lines)[-3:]) or "without a word"
