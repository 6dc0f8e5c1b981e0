"""What every benchmark script shares: a manifest, a quiet machine, medians with intervals, results.

Medians are of per-round ratios; the interval is the bootstrap's, 95 %. A round in which other
programs used more than OTHERS_MAX of the machine is dropped and counted.
"""
import contextlib
import datetime
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile
import time

RESULTS = pathlib.Path(__file__).parent.parent / "results"
OTHERS_MAX = 0.10
ROUNDS_MIN = 7
TICKS = os.sysconf("SC_CLK_TCK")


def first_line(*command):
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        return (run.stdout or run.stderr).split("\n")[0].strip()
    return "not installed"


def manifest(directory, command, **versions):
    """The machine, by what decides figures; no path of it."""
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line)
    source = first_line("findmnt", "-no", "SOURCE", "-T", str(directory))
    device = os.path.basename(os.path.realpath(source)).rstrip("0123456789") or "?"
    queue = pathlib.Path(f"/sys/block/{device}/queue")
    disk = {name: (queue / name).read_text().strip() for name in ("rotational", "write_cache", "fua")
            if (queue / name).exists()}
    return {"date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "command": command,
            "commit": first_line("git", "-C", str(RESULTS), "rev-parse", "--short=12", "HEAD"),
            "cpu": cpu, "cpus": os.cpu_count(), "virtual": first_line("systemd-detect-virt"),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
            "kernel": os.uname().release,
            "file_system": first_line("findmnt", "-no", "FSTYPE", "-T", str(directory)),
            "disk": disk | {"kind": device.rstrip("abcdefgh0123456789")},
            "durability": "D2: on the device (write and flush) before it is acknowledged",
            "versions": {"compiler": first_line("c++", "--version")} | versions}


def user_ticks():
    """(user and stolen time of the machine, user time of our process group), in ticks."""
    words = open("/proc/stat").readline().split()
    total = int(words[1]) + int(words[2]) + int(words[8])  # user, nice, steal
    own, group = 0, os.getpgrp()
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if int(fields[2]) == group:
                own += int(fields[11]) + int(fields[13])  # utime, and cutime of children waited for
    return total, own


class Others:
    """with Others() as others: …; others.share is what other programs, and other machines of
    this host, took of all CPUs."""

    def __enter__(self):
        self.begin, self.before = time.monotonic(), user_ticks()
        return self

    def __exit__(self, *_):
        total, own = (after - before for after, before in zip(user_ticks(), self.before))
        seconds = (time.monotonic() - self.begin) * os.cpu_count()
        self.share = max(0.0, (total - own) / TICKS / seconds)

    @property
    def too_much(self):
        return self.share > OTHERS_MAX


def wait_for_quiet(patience=60):
    """Until others use little for half a second; gives up in the end. True if it is quiet."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        with Others() as others:
            time.sleep(0.5)
        if others.share < OTHERS_MAX / 2:
            return True
    return False


def summary(values, digits=3):
    """Median and its 95 % bootstrap interval."""
    values = list(values)
    source = random.Random(1)
    medians = sorted(statistics.median(source.choices(values, k=len(values))) for _ in range(2000))
    return {"median": round(statistics.median(values), digits),
            "interval_95": [round(medians[50], digits), round(medians[1949], digits)],
            "rounds": len(values)}


def verdict(value, target, at_least=True, quiet=True):
    """`met`, `missed`, or `inconclusive`: an interval wider than ± 10 %, under ROUNDS_MIN rounds, or
    rounds that were kept though they were noisy show nothing either way."""
    low, high = value["interval_95"]
    wide = (high - low) / 2 > 0.10 * value["median"]
    if wide or not quiet or value["rounds"] < ROUNDS_MIN:
        return "inconclusive"
    met = value["median"] >= target if at_least else value["median"] <= target
    return "met" if met else "missed"


def write_result(name, data):
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(data, indent=1) + "\n")
    print(f"written: bench/results/{name}.json")


@contextlib.contextmanager
def scratch(directory):
    """A directory of our own below `directory`, gone afterwards."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="penstock-bench-", dir=directory))
    try:
        yield path
    finally:
        shutil.rmtree(path)


class Lines:
    """A program that answers each line of its standard input with one of JSON."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args[0]} ended at: {line}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
