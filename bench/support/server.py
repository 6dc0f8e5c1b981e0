"""penstockd under measurement, and signed requests for it and for kinesalite.

The daemon runs on loopback with the limits off, from a configuration of its own: that of `--dev`, but
with as much journal made beforehand as the run needs, so that zero-filling is not part of it.
"""
import base64
import configparser
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import time

CONFIG = """[data]
directory = "{directory}"
[cores]
data = [0]
service = {service}
pin = false
[journal]
cells = 1
slot_bytes = "{slot_mib}MiB"
size_min = "{journal_mib}MiB"
size_max = "60GiB"
fill_bytes_per_second = "2GiB"
[kinesis]
https = "127.0.0.1:{port}"
http = "127.0.0.1:{http}"
[native]
listen = "127.0.0.1:{native}"
[admin]
listen = "127.0.0.1:{admin}"
[limits]
shard = "none"
state = "50ms"
"""


class Penstockd:
    def __init__(self, build, directory, port=7400, journal_mib=1024, slot_mib=256):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(exist_ok=True)
        self.http, self.native, self.admin = port + 1, port + 2, port + 3
        self.config = self.directory.with_name(self.directory.name + ".toml")
        self.config.write_text(CONFIG.format(
            directory=self.directory, port=port, http=self.http, native=self.native, admin=self.admin, slot_mib=slot_mib,
            journal_mib=journal_mib, service=min(1, os.cpu_count() - 1)))
        self.slots_wanted = journal_mib // slot_mib
        self.program = pathlib.Path(build).resolve() / "src" / "server" / "penstockd"
        self.process = None

    def start(self, prefix=(), patience=120):
        """Returns the seconds from exec to `penstockd ready`."""
        begin = time.monotonic()
        self.process = subprocess.Popen([*prefix, self.program, "--config", self.config],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdout.fileno(), False)
        said = b""
        while time.monotonic() < begin + patience:
            select.select([self.process.stdout], [], [], 0.5)
            said += self.process.stdout.read() or b""
            if re.search(rb"^penstockd ready", said, re.M):
                return time.monotonic() - begin
            if self.process.poll() is not None:
                break
        raise RuntimeError(f"penstockd is not ready: {said.decode(errors='replace')}")

    def wait_for_journal(self):
        """Until the journal is made as far as the configuration asks: what is made is not filled."""
        for _ in range(600):
            metrics = self.metrics()
            free = metrics["penstock_journal_slots_free"] + metrics["penstock_journal_segments"]
            if free >= self.slots_wanted - 1:
                return
            time.sleep(0.1)
        raise RuntimeError("the journal is not made")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        try:
            self.process.wait(60)
        finally:
            self.process.stdout.close()

    def said(self):
        return (self.process.stdout.read() or b"").decode(errors="replace")

    def metrics(self):
        """Sums over cores and cells, by name."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)
        connection.request("GET", "/metrics")
        sums = {}
        for line in connection.getresponse().read().decode().splitlines():
            match = re.match(r"(\w+)(?:\{.*\})? ([0-9.e+-]+)$", line)
            if match:
                sums[match[1]] = sums.get(match[1], 0) + float(match[2])
        return sums

    def client(self):
        profile = configparser.ConfigParser()
        profile.read(self.directory / "credentials")
        return Client(self.http, profile["default"]["aws_access_key_id"],
                      profile["default"]["aws_secret_access_key"])

    def process_io(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/io").read_text()
        return {key: int(value) for key, value in re.findall(r"(\w+): (\d+)", text)}

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])


class Client:
    """Signs (SigV4) and sends Kinesis requests."""

    def __init__(self, port, key_id="bench", secret="bench"):
        self.port, self.key_id, self.secret = port, key_id, secret

    def signed(self, operation, body):
        """(headers, body): good for minutes, as often as one likes."""
        body = json.dumps(body).encode() if isinstance(body, dict) else body
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {"content-type": "application/x-amz-json-1.1", "host": f"127.0.0.1:{self.port}",
                   "x-amz-date": now, "x-amz-target": f"Kinesis_20131202.{operation}"}
        names = ";".join(headers)
        canonical = "\n".join(["POST", "/", "", *(f"{k}:{v}" for k, v in headers.items()), "", names,
                               hashlib.sha256(body).hexdigest()])
        scope = f"{now[:8]}/us-east-1/kinesis/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope,
                             hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.key_id}/{scope}, "
                                    f"SignedHeaders={names}, Signature={signature}")
        return headers, body

    def call(self, operation, body):
        """The answer. Raises unless it is a 200."""
        headers, body = self.signed(operation, body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/", body, headers)
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise RuntimeError(f"{operation}: {response.status} {text[:300]!r}")
        return json.loads(text) if text else {}

    def create_stream(self, name, shards):
        self.call("CreateStream", {"StreamName": name, "ShardCount": shards})
        for _ in range(600):
            summary = self.call("DescribeStreamSummary", {"StreamName": name})
            if summary["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE":
                return
            time.sleep(0.02)
        raise RuntimeError(f"{name} does not become ACTIVE")

    def request_bytes(self, operation, body):
        """A whole signed HTTP/1.1 request, to be sent on a bare socket."""
        headers, body = self.signed(operation, body)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"POST / HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n".encode() + body


def put_records(stream, count, data_bytes, key=lambda i: f"vehicle-{i:08}", hashes=None):
    """The body of a PutRecords of incompressible records."""
    records = []
    for i in range(count):
        record = {"Data": base64.b64encode(os.urandom(data_bytes)).decode(), "PartitionKey": key(i)}
        if hashes:
            record["ExplicitHashKey"] = str(hashes[i % len(hashes)])
        records.append(record)
    return json.dumps({"StreamName": stream, "Records": records}, separators=(",", ":")).encode()


WRK = """
wrk.method = "POST"
wrk.path = "/"
{headers}
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
"""


def wrk(client, request, directory, seconds, connections=16, prefix=()):
    """Replays a signed request; requests a second. Raises on an answer that is not a 200."""
    headers, body = request
    directory = pathlib.Path(directory)
    (directory / "body").write_bytes(body)
    names = {"host": "Host"}  # wrk has one of its own, by that spelling
    lines = "\n".join(f'wrk.headers["{names.get(name, name)}"] = "{value}"'
                      for name, value in headers.items())
    script = directory / "replay.lua"
    script.write_text(WRK.format(headers=lines, body=directory / "body"))
    run = subprocess.run([*prefix, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout",
                          "30s", "-s", script, f"http://127.0.0.1:{client.port}/"],
                         capture_output=True, text=True, check=True)
    if "Non-2xx" in run.stdout or "Socket errors" in run.stdout:
        raise RuntimeError(run.stdout)
    return float(re.search(r"Requests/sec:\s+([0-9.]+)", run.stdout)[1])
