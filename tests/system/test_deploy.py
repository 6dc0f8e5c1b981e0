"""What is shipped for operation is true: the example configuration names every key and passes the daemon's own
check, and systemd accepts the unit and finds it well confined."""
import re
import shutil
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


harness.run(globals())
