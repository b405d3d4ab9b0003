"""The machine under the measurement: its programs and packages, its processors, how busy others keep it."""

import os
import platform
import resource
import shutil
import subprocess
from pathlib import Path

from bench import REPOSITORY, Failed


def missing(tools):
    return {tool: package for tool, package in tools.items() if not shutil.which(tool)}


def install(tools, say):
    """Tries to install the packages of those tools that are not there; whether it worked, `lacks` tells."""
    packages = sorted(set(missing(tools).values()))
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not packages or not shutil.which("apt-get") or (root and not shutil.which("sudo")):
        return
    say(f"installing {' '.join(packages)}")
    quiet = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    subprocess.run([*root, "apt-get", "update", "-qq"], **quiet)
    subprocess.run(
        [*root, "env", "DEBIAN_FRONTEND=noninteractive"]
        + ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        **quiet,
    )


def lacks(tools, root):
    """What is missing for a row, as a phrase, or nothing."""
    lack = [f"{tool} (Debian: {package})" for tool, package in missing(tools).items()]
    if root and os.geteuid() != 0:
        lack.append("root, for a network namespace of its own")
    return ", ".join(lack)


def build(say):
    """Sets UARTTOOL and UARTTOOL_TRAFFIC to our binary and to the one that makes the input; builds what is not named."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    wanted = []
    if "UARTTOOL" not in os.environ:
        wanted = ["--bin", "uarttool"]
        os.environ["UARTTOOL"] = str(target / "release/uarttool")
    elif not os.access(os.environ["UARTTOOL"], os.X_OK):
        raise Failed(f"UARTTOOL={os.environ['UARTTOOL']} is no program that can be run")
    else:
        os.environ["UARTTOOL"] = str(Path(os.environ["UARTTOOL"]).resolve())
    if "UARTTOOL_TRAFFIC" not in os.environ:
        beside = Path(os.environ["UARTTOOL"]).parent / "examples/traffic"
        if wanted or not beside.exists():
            wanted += ["--example", "traffic"]
            beside = target / "release/examples/traffic"
        os.environ["UARTTOOL_TRAFFIC"] = str(beside)
    if wanted:
        say(f"building {' '.join(wanted[1::2])}")
        if not shutil.which("cargo"):
            raise Failed("cargo is missing: install Rust, or name binaries with UARTTOOL and UARTTOOL_TRAFFIC")
        command = ["cargo", "build", "--quiet", "--locked", "--release", *wanted]
        if subprocess.run(command, cwd=REPOSITORY).returncode:
            raise Failed("uarttool does not build, see above")


def described():
    """Processor and kernel, for the record."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    return {"processor": model, "processors": len(os.sched_getaffinity(0)), "kernel": platform.release()}


def _seconds():
    """Of all processors since the start: busy, stolen by the host of a virtual machine; and our own share of busy."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _wait, interrupts, soft, stolen = (n / os.sysconf("SC_CLK_TCK") for n in ticks)
    own = 0.0
    for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        used = resource.getrusage(whose)
        own += used.ru_utime + used.ru_stime
    return user + nice + system + interrupts + soft, stolen, own


class Busy:
    """How busy others kept the machine from now until `until_now`."""

    def __init__(self):
        self.load = os.getloadavg()[0]
        self.clock = os.times().elapsed
        self.seconds = _seconds()

    def until_now(self):
        elapsed = max(os.times().elapsed - self.clock, 0.01)
        busy, stolen, own = (now - then for now, then in zip(_seconds(), self.seconds))
        return {
            "seconds": elapsed,
            "load_before": self.load,
            "load_after": os.getloadavg()[0],
            "processors_busy_with_others": max(busy - own, 0) / elapsed,
            "processors_stolen": stolen / elapsed,
        }
