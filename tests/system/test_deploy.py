"""What is shipped for operation is true: the example configuration names every key and passes the daemon's own
check, systemd accepts the unit and finds it well confined, and the daemon makes no call that the unit forbids and tells the
service manager what it waits for."""
import os
import re
import shutil
import signal
import socket
import subprocess

import harness

DEPLOY = harness.ROOT / "deploy"


def check(path):
    return subprocess.run([harness.DAEMON, "--config", path, "--check"], capture_output=True, text=True)


def test_example_configuration_is_valid():
    done = check(DEPLOY / "penstock.toml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_example_configuration_names_every_key():
    """A key that the daemon knows and the example lacks would be shown by the hint for an unknown name."""
    source = (harness.ROOT / "src" / "server" / "config.cc").read_text()
    known = set(re.findall(r'^    \{"(\w+)", "(\w+)", "', source, re.M))
    shown, section = set(), None
    for line in (DEPLOY / "penstock.toml").read_text().splitlines():
        if header := re.match(r"\[(\w+)\]", line):
            section = header[1]
        elif key := re.match(r"(\w+) *=", line):
            shown.add((section, key[1]))
    assert known and shown == known, known ^ shown


def test_unknown_key_is_refused_with_the_nearest_name():
    with harness.scratch("config") as folder:
        text = (DEPLOY / "penstock.toml").read_text().replace("slot_bytes", "slot_byte")
        (folder / "wrong.toml").write_text(text)
        done = check(folder / "wrong.toml")
        assert done.returncode != 0 and "slot_bytes" in done.stdout + done.stderr, done.stdout + done.stderr


def test_unit():
    if not shutil.which("systemd-analyze"):
        harness.skip("systemd is not installed", optional=True)
    with harness.scratch("unit") as folder:
        unit = folder / "penstockd.service"
        unit.write_text((DEPLOY / "penstockd.service").read_text().replace("/usr/bin/penstockd", str(harness.DAEMON)))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
        assert done.returncode == 0 and "penstockd.service" not in done.stderr, done.stderr
        done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=25", unit],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-1500:]


def system_calls(names):
    """The calls that systemd's groups in `names` stand for, and those named singly."""
    found = set()
    for name in names:
        if not name.startswith("@"):
            found.add(name)
            continue
        shown = subprocess.run(["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True)
        found |= system_calls(word for line in shown.stdout.splitlines()[1:]
                              if (word := line.strip()) and not word.startswith("#"))
    return found


def test_unit_allows_the_calls_that_are_made():
    """A filtered call fails with EPERM, which the daemon may well bear with: nobody would notice."""
    for program in "systemd-analyze", "strace":
        if not shutil.which(program):
            harness.skip(f"{program} is not installed", optional=True)
    settings = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "penstockd.service").read_text(), re.M))
    allowed = system_calls(settings["SystemCallFilter"].split())
    for setting, denied in ("ProtectClock", "@clock"), ("ProtectKernelModules", "@module"), ("ProtectKernelLogs", "syslog"):
        if settings.get(setting) == "yes":
            allowed -= system_calls([denied])
    with harness.scratch("calls") as folder:
        daemon = harness.Daemon(folder / "data")
        daemon.arguments[:0] = ["strace", "-f", "-qq", "-o", str(folder / "calls")]
        with daemon:
            client = daemon.boto3(tls=True)
            harness.create_stream(client, "fleet", 1)
            client.put_record(StreamName="fleet", PartitionKey="bus-1", Data=b"hello")
            traced = int((folder / "calls").read_text().split()[0])
            os.kill(traced, signal.SIGTERM)
            assert daemon.process.wait(30) == 0
        made = set(re.findall(r"^\d+ +(\w+)\(", (folder / "calls").read_text(), re.M))
    assert {"io_uring_enter", "clock_adjtime"} <= made, made
    assert made <= allowed, made - allowed


def test_service_manager_is_told():
    """What Type=notify and WatchdogSec= rely on: ready when it serves, signs of life while nothing happens, stopping
    before it drains, and an exit status of 0."""
    with harness.scratch("notify") as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0penstock-{os.getpid()}")
        manager.settimeout(10)
        messages = []

        def told(state):
            while not any(state in message.splitlines() for message in messages):
                messages.append(manager.recv(4096).decode())

        with harness.Daemon(folder / "data", environment={"NOTIFY_SOCKET": f"@penstock-{os.getpid()}"}) as daemon:
            told("READY=1")
            assert not any("WATCHDOG=1" in message for message in messages), messages
            for _ in range(7):  # longer than the rest that makes a core count as stuck
                messages.clear()
                told("WATCHDOG=1")
            assert daemon.terminate() == 0
            told("STOPPING=1")


harness.run(globals())
