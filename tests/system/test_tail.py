"""`penstock tail`, over the Kinesis API and over the native protocol: the same lines, in the same order."""
import json
import subprocess
import time

import harness

VIAS = ("kinesis", "native")


def command(daemon):
    return [harness.BUILD / "tools" / "penstock" / "penstock", "--dir", daemon.directory]


def run(daemon, *arguments, text=""):
    return subprocess.run([*command(daemon), *arguments], input=text, capture_output=True, text=True, timeout=60)


def tail(daemon, via, *arguments):
    done = run(daemon, "-o", "json", "tail", "fleet", "--via", via, *arguments)
    assert done.returncode == 0, done
    return [json.loads(line) for line in done.stdout.splitlines()]


def put(daemon, first, count):
    lines = "".join(json.dumps({"device": f"bus-{n % 7}", "n": n}) + "\n" for n in range(first, first + count))
    done = run(daemon, "put", "fleet", "--key-field", "device", text=lines)
    assert done.returncode == 0, done


def order(records):
    """What each key said, in the order in which it came."""
    keys = {}
    for record in records:
        keys.setdefault(record["key"], []).append(json.loads(record["data"])["n"])
    return keys


def resharded(kinesis, daemon):
    """Three generations: a split, and a merge of a child with a shard that is older."""
    put(daemon, 0, 700)
    kinesis.split_shard(StreamName="fleet", ShardToSplit="shardId-000000000001", NewStartingHashKey=str(3 << 126))
    active(kinesis)
    put(daemon, 700, 700)
    kinesis.merge_shards(StreamName="fleet", ShardToMerge="shardId-000000000000",
                         AdjacentShardToMerge="shardId-000000000002")
    active(kinesis)
    put(daemon, 1400, 700)


def active(kinesis):
    kinesis.get_waiter("stream_exists").wait(StreamName="fleet", WaiterConfig={"Delay": 1})
    for _ in range(200):
        summary = kinesis.describe_stream_summary(StreamName="fleet")["StreamDescriptionSummary"]
        if summary["StreamStatus"] == "ACTIVE":
            return
        time.sleep(0.02)
    raise AssertionError("the stream does not become ACTIVE")


def test_both_ways_give_the_same():
    with harness.daemon("tail") as daemon:
        kinesis = daemon.boto3()
        kinesis.create_stream(StreamName="fleet", ShardCount=2)
        active(kinesis)
        assert [tail(daemon, via, "--from", "horizon") for via in VIAS] == [[], []]
        resharded(kinesis, daemon)
        whole = {via: tail(daemon, via, "--from", "horizon") for via in VIAS}
        expected = {f"bus-{k}": [n for n in range(2100) if n % 7 == k] for k in range(7)}
        for via in VIAS:
            assert order(whole[via]) == expected, via
        by_sequence = {via: sorted(whole[via], key=lambda record: record["sequence"]) for via in VIAS}
        assert by_sequence["kinesis"] == by_sequence["native"]
        some = by_sequence["native"][100]
        for via in VIAS:
            assert len(tail(daemon, via, "--from", "horizon", "--count", "10")) == 10
            assert len(tail(daemon, via, "--from", "-15m")) == 2100
            shard = [record for record in tail(daemon, via, "--from", "horizon", "--shard", "1")]
            assert {record["shard"][-1] for record in shard} == {"1", "2", "3", "4"}, "children are followed"
            after = tail(daemon, via, "--from", some["sequence"])
            assert after[0] == some and [record for record in after if record["shard"] == some["shard"]] == [
                record for record in by_sequence["native"][100:] if record["shard"] == some["shard"]]


def test_latest_follows():
    with harness.daemon("tail") as daemon:
        kinesis = daemon.boto3()
        kinesis.create_stream(StreamName="fleet", ShardCount=2)
        active(kinesis)
        put(daemon, 0, 70)
        for via in VIAS:
            process = subprocess.Popen([*command(daemon), "-o", "json", "tail", "fleet", "--via", via, "--count", "1"],
                                       stdout=subprocess.PIPE, text=True)
            while process.poll() is None:  # until it has begun, what is put is not later than it
                put(daemon, 1000, 1)
                time.sleep(0.1)
            said = [json.loads(line) for line in process.stdout]
            process.stdout.close()
            assert [json.loads(record["data"])["n"] for record in said] == [1000], said


def test_an_empty_record():
    with harness.daemon("tail") as daemon:
        kinesis = daemon.boto3()
        kinesis.create_stream(StreamName="fleet", ShardCount=1)
        active(kinesis)
        for via in VIAS:
            done = run(daemon, "put", "fleet", "", "--key", via, "--via", via)
            assert done.returncode == 0 and done.stdout.startswith("1 record put"), done
        for via in VIAS:
            assert [(one["key"], one["data"]) for one in tail(daemon, via, "--from", "horizon")] == [
                ("kinesis", ""), ("native", "")]


def test_what_is_not_there():
    with harness.daemon("tail") as daemon:
        kinesis = daemon.boto3()
        kinesis.create_stream(StreamName="fleet", ShardCount=1)
        active(kinesis)
        for via in VIAS:
            done = run(daemon, "tail", "absent", "--from", "horizon", "--via", via)
            assert done.returncode == 3 and "'absent' cannot be read" in done.stderr, done
            done = run(daemon, "tail", "fleet", "--from", "horizon", "--via", via, "--shard", "9")
            assert done.returncode == 3 and "no shard shardId-000000000009" in done.stderr, done
            done = run(daemon, "tail", "fleet", "--from", "yesterday", "--via", via)
            assert done.returncode == 2 and "--from is no place to begin at" in done.stderr, done
        done = run(daemon, "--native-endpoint", "tls://localhost:1", "--timeout", "1s", "tail", "fleet", "--via", "native")
        assert done.returncode == 4 and "cannot be reached" in done.stderr, done


harness.run(globals())
