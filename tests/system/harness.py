"""What every system test needs: the real daemon on loopback, clients for it, and a report in TAP.

A test file ends with `harness.run(globals())`: each `test_*` function is one case. meson gives the build
directory in PENSTOCK_BUILD. Python packages come from PyPI into a virtual environment, npm packages into a
folder, both below the build directory; `run` starts the file again inside the environment.

A case that cannot run calls `skip`. Where CI is set to true that is a failure, unless the thing is optional
(not part of the repository, and not promised to CI).
"""
import configparser
import contextlib
import fcntl
import inspect
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PENSTOCK_BUILD", ROOT / "build")).resolve()
DAEMON = BUILD / "src" / "server" / "penstockd"
WORK = BUILD / "tests" / "system"
IN_CI = os.environ.get("CI") == "true"
# The newest of each: what a new user would get. pyOpenSSL has the exporter of TLS that the native protocol wants.
PYTHON_PACKAGES = ["boto3", "flatbuffers", "hdrhistogram", "pyOpenSSL"]


class Skip(Exception):
    pass


def skip(reason, optional=False):
    if IN_CI and not optional:
        raise AssertionError(f"{reason}: CI is to have this")
    raise Skip(reason)


def count(name, normal):
    """A number of rounds that a nightly run raises by environment variable."""
    return int(os.environ.get(name, normal))


# --- Preparation ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(name):
    """One process at a time makes what is shared below the build directory."""
    WORK.mkdir(parents=True, exist_ok=True)
    with open(WORK / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _enter_environment():
    """Starts this script again in a virtual environment that has the packages, unless it runs there."""
    environment = WORK / "python"
    interpreter = environment / "bin" / "python"
    if pathlib.Path(sys.prefix) == environment:
        return
    complete, packages = environment / "complete", " ".join(PYTHON_PACKAGES)
    with locked("python"):
        if not complete.exists() or complete.read_text() != packages:
            subprocess.run([sys.executable, "-m", "venv", "--clear", environment], check=True, stdout=sys.stderr)
            subprocess.run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                            *PYTHON_PACKAGES], check=True, stdout=sys.stderr)
            complete.write_text(packages)
    os.execv(interpreter, [interpreter, *sys.argv])


def node_modules(*packages):
    """A folder in which npm has installed the packages."""
    if not shutil.which("npm"):
        skip("npm is not installed")
    folder = WORK / "node"
    with locked("node"):
        for package in packages:
            name = re.sub(r"(?<=.)@.*", "", package)
            if not (folder / "node_modules" / name / "package.json").exists():
                folder.mkdir(exist_ok=True)
                done = subprocess.run(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", package],
                                      capture_output=True, text=True)
                if done.returncode:
                    skip(f"npm could not install {package}: {done.stderr.strip().splitlines()[-1:]}")
    return folder


@contextlib.contextmanager
def scratch(prefix):
    """A directory below the build directory, on whatever file system that is; removed afterwards."""
    base = WORK / "data"
    base.mkdir(parents=True, exist_ok=True)
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix + "-", dir=base))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


# --- The daemon -----------------------------------------------------------------------------------------


def free_port_base():
    """Four consecutive ports that nobody listens on."""
    for _ in range(200):
        base = random.randrange(21000, 60000, 4)
        try:
            for port in range(base, base + 4):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    raise RuntimeError("no four free ports in a row")


class Daemon:
    """penstockd --dev on loopback. `start` again after a stop or a kill: same directory, same ports.

    With `settings`, {section: {key: value}}, it has a configuration file that says the same as --dev but for these."""

    def __init__(self, directory, *arguments, limits="none", environment=None, log=None, settings=None):
        self.directory = pathlib.Path(directory)
        self.port = free_port_base()
        self.arguments = [str(DAEMON), "--dev", str(self.directory), "--port-base", str(self.port),
                          "--limits", limits, *arguments]
        if settings:
            path = self.directory.with_name(self.directory.name + ".toml")
            path.write_text(self._configuration(limits, settings))
            self.arguments = [str(DAEMON), "--config", str(path), *arguments]
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.log_path = pathlib.Path(log or self.directory.with_name(self.directory.name + ".log"))

    def _configuration(self, limits, settings):
        """TOML; what --dev says is in src/server/config.cc."""
        cpus = len(os.sched_getaffinity(0))
        at = [f"127.0.0.1:{self.port + offset}" for offset in range(4)]
        sections = {
            "data": {"directory": str(self.directory)},
            "cores": {"data": [0], "service": min(1, cpus - 1), "pin": cpus > 1},
            "journal": {"cells": 1, "slot_bytes": "32MiB", "size_min": "512MiB", "size_max": "16GiB"},
            "memory": {"budget": "512MiB"}, "kinesis": {"https": at[0], "http": at[1], "connections_max": 512},
            "native": {"listen": at[2]}, "admin": {"listen": at[3]}, "limits": {"shard": limits, "state": "50ms"}}
        for section, values in settings.items():
            sections.setdefault(section, {}).update(values)
        # JSON's strings, numbers, booleans and arrays are TOML's, too.
        return "".join(f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
                       for section, values in sections.items())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, error, trace):
        if self.running():
            self.kill()
        if kind and kind is not Skip:
            tail = self.log()[-4000:]
            print("\n".join(f"# {line}" for line in tail.splitlines()))

    def start(self, timeout=30):
        """Returns the seconds until the line `penstockd ready`."""
        begin = time.monotonic()
        seen = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.arguments, stdout=log, stderr=log, env=self.environment)
        while time.monotonic() - begin < timeout:
            with open(self.log_path, "rb") as log:
                log.seek(seen)
                if re.search(rb"^penstockd ready", log.read(), re.M):
                    return time.monotonic() - begin
            if self.process.poll() is not None:
                raise AssertionError(f"penstockd ended with {self.process.returncode} before it was ready:\n"
                                     + self.log()[-2000:])
            time.sleep(0.01)
        raise AssertionError(f"penstockd is not ready after {timeout} s:\n" + self.log()[-2000:])

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, timeout=30):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024

    # Addresses, credentials, clients.

    @property
    def https(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def http(self):
        return f"http://127.0.0.1:{self.port + 1}"

    @property
    def ca(self):
        return str(self.directory / "ca.pem")

    def credentials(self):
        file = configparser.ConfigParser()
        file.read(self.directory / "credentials")
        return dict(file["default"])

    def client_environment(self):
        """What the C++ library finds credentials and the authority by."""
        secret = self.credentials()
        return {**os.environ, "AWS_ACCESS_KEY_ID": secret["aws_access_key_id"],
                "AWS_SECRET_ACCESS_KEY": secret["aws_secret_access_key"], "SSL_CERT_FILE": self.ca}

    def boto3(self, tls=False, retries=0, credentials=None, **config):
        import boto3
        from botocore.config import Config
        secret = credentials or self.credentials()
        config = Config(retries={"total_max_attempts": retries + 1}, read_timeout=20, connect_timeout=5, **config)
        return boto3.session.Session().client(
            "kinesis", region_name=secret["region"], aws_access_key_id=secret["aws_access_key_id"],
            aws_secret_access_key=secret["aws_secret_access_key"], config=config,
            endpoint_url=self.https if tls else self.http, verify=self.ca if tls else None)

    def administration(self, path):
        """The text of a page of the administration listener."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port + 3}{path}", timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name):
        """Sum of a metric over its labels."""
        values = re.findall(rf"^{name}(?:\{{[^}}]*\}})?\s+([0-9.eE+-]+)", self.administration("/metrics"), re.M)
        assert values, f"/metrics has no {name}"
        return sum(map(float, values))


@contextlib.contextmanager
def daemon(name, *arguments, **options):
    with scratch(name) as folder, Daemon(folder / "data", *arguments, **options) as running:
        yield running


# --- Small helps ----------------------------------------------------------------------------------------


def eventually(condition, seconds=20, what="condition"):
    """The first true value of `condition()`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def wait_active(client, stream):
    def active():
        summary = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        return summary if summary["StreamStatus"] == "ACTIVE" else None
    return eventually(active, what=f"{stream} ACTIVE")


def create_stream(client, stream, shards):
    client.create_stream(StreamName=stream, ShardCount=shards)
    return wait_active(client, stream)


def refusal(call, **arguments):
    """(error name, message) of a call that must be refused."""
    from botocore.exceptions import ClientError
    try:
        answer = call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    raise AssertionError(f"accepted, though it must be refused: {arguments} gave {answer}")


def telemetry():
    """Real messages as (device, payload); they lie beside the repository and are not part of it."""
    path = ROOT.parent / "shared" / "data" / "fleet-telemetry.jsonl.zst"
    if not path.exists():
        skip("fleet-telemetry.jsonl.zst is not beside the repository", optional=True)
    text = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
    rows = map(json.loads, text.splitlines())
    return [(row["device"], row["payload"].encode()) for row in rows]


# --- TAP ------------------------------------------------------------------------------------------------


def run(names):
    """Runs every `test_*` of a module's globals, in order, and reports in TAP. `sys.argv[1:]` selects."""
    if not DAEMON.exists():
        sys.exit(f"no daemon at {DAEMON}")
    _enter_environment()
    chosen = sys.argv[1:]
    tests = [value for name, value in names.items()
             if name.startswith("test_") and inspect.isfunction(value) and (not chosen or name in chosen)]
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, test in enumerate(tests, 1):
        name, begin = test.__name__.removeprefix("test_"), time.monotonic()
        try:
            test()
            print(f"ok {number} - {name}")
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}")
        except Exception:
            failed += 1
            print("\n".join(f"# {line}" for line in traceback.format_exc().splitlines()))
            print(f"not ok {number} - {name}")
        print(f"# {name}: {time.monotonic() - begin:.1f} s", flush=True)
    sys.exit(1 if failed else 0)
