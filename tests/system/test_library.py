"""The C++ library's examples against the daemon, plain and over TLS, beside boto3: what one side puts the other
reads, through splits and a `kill -9`."""
import collections
import json
import os
import subprocess
import time

import harness

EXAMPLES = harness.BUILD / "docs" / "examples"


def endpoint(daemon, tls):
    return f"{'tls' if tls else 'tcp'}://localhost:{daemon.port + 2}"


def put(daemon, tls, lines, **options):
    return subprocess.Popen([EXAMPLES / "example_put", endpoint(daemon, tls), "library"], stdin=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=daemon.client_environment(), **options), "".join(
                                f"{line}\n" for line in lines).encode()


def put_all(daemon, tls, lines):
    process, text = put(daemon, tls, lines)
    _, said = process.communicate(text, timeout=60)
    assert process.returncode == 0, said
    assert said == f"{len(lines)} stored, 0 not\n".encode(), said


def tail(daemon, tls, count, seconds=60):
    """The first `count` lines that the example writes."""
    process = subprocess.Popen([EXAMPLES / "example_tail", endpoint(daemon, tls), "library"], stdout=subprocess.PIPE,
                               env=daemon.client_environment())
    begin, read = time.monotonic(), b""
    os.set_blocking(process.stdout.fileno(), False)
    try:
        while read.count(b"\n") < count:
            assert time.monotonic() < begin + seconds, f"{read.count(bytes([10]))} of {count} lines"
            read += process.stdout.read() or b""
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    return read.decode().splitlines()


def ready(kinesis, shards):
    kinesis.create_stream(StreamName="library", ShardCount=shards)
    kinesis.get_waiter("stream_exists").wait(StreamName="library", WaiterConfig={"Delay": 1})


def session(tls):
    with harness.daemon("library") as daemon:
        kinesis = daemon.boto3()
        ready(kinesis, 2)
        lines = [f"line {n}" for n in range(5000)]
        put_all(daemon, tls, lines)
        records = [{"PartitionKey": f"key {n}", "Data": f"boto {n}".encode()} for n in range(400)]
        assert kinesis.put_records(StreamName="library", Records=records)["FailedRecordCount"] == 0
        expected = collections.Counter(lines + [record["Data"].decode() for record in records])
        assert collections.Counter(tail(daemon, tls, 5400)) == expected
        found = []
        for shard in kinesis.list_shards(StreamName="library")["Shards"]:
            at = kinesis.get_shard_iterator(StreamName="library", ShardId=shard["ShardId"],
                                            ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            while True:
                page = kinesis.get_records(ShardIterator=at)
                found += [record["Data"].decode() for record in page["Records"]]
                if page["MillisBehindLatest"] == 0:
                    break
                at = page["NextShardIterator"]
        assert collections.Counter(found) == expected


def test_plain():
    session(tls=False)


def test_tls():
    session(tls=True)


def test_each_record_once_over_kills_and_splits():
    with harness.daemon("library") as daemon:
        kinesis = daemon.boto3()
        ready(kinesis, 1)
        lines = [f"line {n}" for n in range(60_000)]
        process, text = put(daemon, False, lines)
        half = len(text) // 2
        process.stdin.write(text[:half])
        process.stdin.flush()
        kinesis.split_shard(StreamName="library", ShardToSplit="shardId-000000000000",
                            NewStartingHashKey=str(1 << 127))
        for _ in range(3):
            time.sleep(0.3)
            daemon.kill()
            daemon.start()
        _, said = process.communicate(text[half:], timeout=60)
        assert process.returncode == 0 and said == f"{len(lines)} stored, 0 not\n".encode(), said
        assert collections.Counter(tail(daemon, False, len(lines))) == collections.Counter(lines)


def test_command_line():
    with harness.daemon("library") as daemon:
        ready(daemon.boto3(), 2)
        command = [harness.BUILD / "tools" / "penstock" / "penstock", "--dir", daemon.directory]
        lines = "".join(f"line {n}\n" for n in range(20_000))

        def run(*arguments, text=""):
            return subprocess.run([*command, *arguments], input=text, capture_output=True, text=True, timeout=60)

        done = run("put", "library", "--key", "k", "--via", "native", text=lines)
        assert done.returncode == 0 and done.stdout.startswith("20,000 records put in "), done
        assert tail(daemon, False, 20_000) == lines.splitlines(), "another order"
        done = run("put", "absent", "--key", "k", "--via", "native", "x")
        assert done.returncode == 3 and "'absent' cannot be written" in done.stderr, done
        done = run("--native-endpoint", "tls://localhost:1", "--timeout", "1s", "put", "library", "--key", "k",
                   "--via", "native", "x")
        assert done.returncode == 4 and "cannot be reached" in done.stderr, done


def test_fleet():
    with harness.daemon("library") as daemon:
        ready(daemon.boto3(), 4)
        command = [harness.BUILD / "tools" / "penstock" / "penstock", "--dir", daemon.directory, "-o", "json", "fleet",
                   "library", "--via", "native", "--vehicles", "100", "--connections", "2", "--seconds", "1"]
        for rate in ("max", "500/s"):
            done = subprocess.run([*command, "--rate", rate], capture_output=True, text=True, timeout=60)
            report = json.loads(done.stdout)
            assert done.returncode == 0 and report["via"] == "native" and report["verified"], done
            assert report["records"] >= 400 and report["verification"]["repeated"] == 0, report
        # Everything is refused, and that is said.
        boto3 = daemon.boto3()
        boto3.delete_stream(StreamName="library")
        boto3.get_waiter("stream_not_exists").wait(StreamName="library", WaiterConfig={"Delay": 1})
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 3, done


harness.run(globals())
