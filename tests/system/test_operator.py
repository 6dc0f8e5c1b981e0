"""What an operator does and sees: the commands that work on a stopped daemon's data directory refuse a running one
and leave behind what starts again; a start that is refused names the mend; /metrics counts what clients did, and
docs/metrics.md names all of it."""
import contextlib
import json
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import harness

PENSTOCK = harness.BUILD / "tools" / "penstock" / "penstock"


def penstock(*words):
    return subprocess.run([PENSTOCK, *map(str, words)], capture_output=True, text=True)


def test_data_directory_commands():
    commands = ["cell", "clear", "--cell", 0], ["clock", "accept"]
    with harness.daemon("operator") as daemon:
        client = daemon.boto3()
        harness.create_stream(client, "fleet", 2)
        client.put_record(StreamName="fleet", PartitionKey="bus-1", Data=b"hello")
        for command in commands:
            done = penstock(*command, "--data-dir", daemon.directory)
            assert done.returncode == 6 and f"process {daemon.process.pid} holds it" in done.stderr, done
        assert daemon.running()
        assert daemon.terminate() == 0
        for command in commands:
            done = penstock(*command, "--data-dir", daemon.directory, "-o", "json")
            assert done.returncode == 0, done.stderr
            answer = json.loads(done.stdout)
            assert not answer.get("was_fenced") and not answer.get("was_unsure"), answer
        daemon.start()
        found = []
        for shard in client.list_shards(StreamName="fleet")["Shards"]:
            token = client.get_shard_iterator(StreamName="fleet", ShardId=shard["ShardId"],
                                              ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            found += client.get_records(ShardIterator=token)["Records"]
        assert [record["Data"] for record in found] == [b"hello"], found


def refused_start(arguments):
    """(exit status, text) of a start that must fail."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=30)
    assert "penstockd ready" not in done.stdout
    return done.returncode, done.stderr


def test_a_directory_that_cannot_be_served_says_what_mends_it():
    with harness.scratch("refused") as folder, harness.Daemon(folder / "data") as daemon:
        assert daemon.terminate() == 0
        before = (daemon.directory / "superblock").read_bytes()
        # Behind the magic and the version, in each of the copies.
        damaged = bytearray(before)
        for copy in range(0, len(damaged), 4096):
            damaged[copy + 200] ^= 1
        (daemon.directory / "superblock").write_bytes(damaged)
        status, text = refused_start(daemon.arguments)
        assert status == 74 and "PS-2003" in text and "smartctl" in text and "doctor" not in text, text
        assert (daemon.directory / "superblock").read_bytes() == damaged
        done = penstock("cell", "clear", "--cell", 0, "--data-dir", daemon.directory)
        assert done.returncode == 1 and "PS-2003" in done.stderr, done
        (daemon.directory / "superblock").write_bytes(before)
        daemon.start()
        assert daemon.terminate() == 0

        status, text = refused_start([daemon.arguments[0], "--nonsense"])
        assert status == 64 and "--nonsense" in text, (status, text)
        (folder / "unmounted").mkdir()
        text = (harness.ROOT / "deploy" / "penstock.toml").read_text()
        text = text.replace("/var/lib/penstock", str(folder / "unmounted"))
        (folder / "penstock.toml").write_text(text.replace("format_if_empty = true", "format_if_empty = false"))
        status, text = refused_start([harness.DAEMON, "--config", folder / "penstock.toml"])
        assert status != 0 and "mount the drive" in text, (status, text)
        assert not (folder / "unmounted" / "superblock").exists()


def test_metrics_count_requests_and_records():
    with harness.daemon("metrics", limits="kinesis") as daemon:
        client = daemon.boto3()
        harness.create_stream(client, "fleet", 1)
        client.put_record(StreamName="fleet", PartitionKey="bus-1", Data=b"hello")
        # A shard takes 1,000 records at once and then 1,000 a second: some of these are refused.
        throttled = sum(client.put_records(StreamName="fleet", Records=[
            {"PartitionKey": "bus-1", "Data": b"x" * 100}] * 500)["FailedRecordCount"] for _ in range(4))
        assert throttled > 0
        harness.refusal(client.describe_stream, StreamName="nobody")
        token = client.get_shard_iterator(StreamName="fleet", ShardId="shardId-000000000000",
                                          ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        delivered = client.get_records(ShardIterator=token)["Records"]
        page = daemon.administration("/metrics")

        def requests(operation, status):
            return int(re.search(rf'^penstock_kinesis_requests_total{{core="0",operation="{operation}",'
                                 rf'status="{status}"}} (\d+)$', page, re.M)[1])

        def moved(name):
            return daemon.metric(f"penstock_kinesis_{name}_total")
        assert (requests("PutRecord", 200), requests("PutRecords", 200)) == (1, 4)
        assert (requests("DescribeStream", 200), requests("DescribeStream", 400)) == (0, 1)
        assert requests("GetRecords", 200) == 1
        stored = 1 + 2000 - throttled
        assert moved("acknowledged_records") == moved("delivered_records") == stored == len(delivered)
        assert moved("acknowledged_bytes") == moved("delivered_bytes") == 10 + (stored - 1) * 105
        assert (moved("throttled_records"), moved("failed_records")) == (throttled, 0)


def served_metrics():
    """(name, type, labels, help) of all that /metrics has."""
    with harness.daemon("metrics") as daemon:
        harness.refusal(daemon.boto3().describe_stream, StreamName="nobody")
        page = daemon.administration("/metrics")
    helps = dict(re.findall(r"^# HELP (\w+) (.*)$", page, re.M))
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", page, re.M):
        sample = re.search(rf"^{name}(?:{{(.*?)}})? ", page, re.M)
        labels = " ".join(re.findall(r'(\w+)="', sample[1] or ""))
        yield f"| `{name}` | {kind} | {labels} | {helps[name]} |"


def test_every_metric_is_documented():
    """docs/metrics.md holds a row for each metric and no other; the row to be written is in the difference."""
    rows = re.findall(r"^\| `(?:penstock|process)_.*\|$", (harness.ROOT / "docs" / "metrics.md").read_text(), re.M)
    served = list(served_metrics())
    assert len(served) > 50 and rows == served, "\n".join(sorted(set(rows) ^ set(served)))


def events(daemon):
    """{event: its last line's fields}, of the lines of the log."""
    lines = [json.loads(line) for line in daemon.log().splitlines() if line.startswith("{")]
    return {line["event"]: line for line in lines}


def test_the_log_says_who_changed_what():
    with harness.daemon("audit") as daemon:
        client = daemon.boto3()
        harness.create_stream(client, "fleet", 1)
        client.increase_stream_retention_period(StreamName="fleet", RetentionPeriodHours=48)
        client.decrease_stream_retention_period(StreamName="fleet", RetentionPeriodHours=25)
        client.split_shard(StreamName="fleet", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127))
        harness.wait_active(client, "fleet")
        client.merge_shards(StreamName="fleet", ShardToMerge="shardId-000000000001",
                            AdjacentShardToMerge="shardId-000000000002")
        harness.wait_active(client, "fleet")
        client.delete_stream(StreamName="fleet")
        told = harness.eventually(lambda: "ready" in events(daemon) and events(daemon), what="ready in the log")
        who = daemon.credentials()["aws_access_key_id"]
        for event in "stream_created", "retention_changed", "shard_split", "shards_merged", "stream_deleted":
            assert (told[event]["stream"], told[event]["by"]) == ("fleet", who), told[event]
        lowered = told["retention_changed"]
        assert (lowered["hours_before"], lowered["hours"], lowered["level"]) == ("48", "25", "warning"), lowered


def test_every_event_of_the_log_is_documented():
    sources = (harness.ROOT / "src" / "server").glob("*.cc")
    told = {name for source in sources for name in re.findall(r'LogLevel::k\w+,\s*"(\w+)"', source.read_text())}
    rows = re.findall(r"^\| `(\w+)` \|", (harness.ROOT / "docs" / "log-events.md").read_text(), re.M)
    assert len(told) > 20 and sorted(rows) == sorted(told), sorted(set(rows) ^ told)


def sent_request(daemon, operation, body, receive_buffer=None, hold_back=b""):
    """A socket on which a signed request has been sent, but for the last bytes `hold_back`."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    secret = daemon.credentials()
    text = json.dumps(body).encode()
    assert text.endswith(hold_back)
    request = AWSRequest("POST", daemon.http + "/", data=text, headers={
        "X-Amz-Target": f"Kinesis_20131202.{operation}", "Content-Type": "application/x-amz-json-1.1"})
    SigV4Auth(Credentials(secret["aws_access_key_id"], secret["aws_secret_access_key"]), "kinesis",
              secret["region"]).add_auth(request)
    peer = socket.socket()
    if receive_buffer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    peer.connect(("127.0.0.1", daemon.port + 1))
    head = [f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port + 1}\r\nContent-Length: {len(text)}\r\n"]
    head += [f"{name}: {value}\r\n" for name, value in request.headers.items()]
    peer.sendall("".join(head).encode() + b"\r\n" + text[:len(text) - len(hold_back)])
    return peer


def test_a_stop_does_not_wait_for_who_never_ends_his_request():
    """One body byte every 3 s is progress for the front door; the rest of the fleet was answered long ago."""
    with harness.daemon("drip") as daemon:
        harness.create_stream(daemon.boto3(), "fleet", 1)
        missing = b"x" * 100 + b'"}'
        peer = sent_request(daemon, "PutRecord", {"StreamName": "fleet", "PartitionKey": "x" * 100}, hold_back=missing)

        def drip():
            with contextlib.suppress(OSError):
                for byte in missing[:40]:
                    peer.send(bytes([byte]))
                    time.sleep(3)
        threading.Thread(target=drip, daemon=True).start()
        time.sleep(0.5)
        begin = time.monotonic()
        status = daemon.terminate(timeout=60)
        assert status == 0, (status, daemon.log())
        assert time.monotonic() - begin < 30 and "every request was answered" in daemon.log(), daemon.log()


def test_a_stop_that_cuts_an_answer_says_so():
    """Who reads his answer drop by drop is waited for nearly as long as the service manager allows."""
    with harness.daemon("cut") as daemon:
        client = daemon.boto3()
        harness.create_stream(client, "fleet", 1)
        for _ in range(10):
            client.put_record(StreamName="fleet", PartitionKey="bus-1", Data=b"x" * 1_000_000)
        token = client.get_shard_iterator(StreamName="fleet", ShardId="shardId-000000000000",
                                          ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        peer = sent_request(daemon, "GetRecords", {"ShardIterator": token}, receive_buffer=65536)

        def sip():
            with contextlib.suppress(OSError):
                while peer.recv(65536):
                    time.sleep(0.5)
        threading.Thread(target=sip, daemon=True).start()
        time.sleep(1)
        begin = time.monotonic()
        status = daemon.terminate(timeout=70)
        assert status == 75 and "1 requests were cut off" in daemon.log(), (status, daemon.log())
        assert 50 < time.monotonic() - begin < 60


def test_a_signal_before_the_server_is_ready_is_heard():
    with harness.scratch("early") as folder:
        daemon = harness.Daemon(folder / "data")
        process = subprocess.Popen(daemon.arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        blocked = 1 << (signal.SIGTERM - 1)
        status = pathlib.Path(f"/proc/{process.pid}/status")
        harness.eventually(lambda: int(re.search(r"SigBlk:\s+(\w+)", status.read_text())[1], 16) & blocked,
                           what="SIGTERM blocked")
        process.send_signal(signal.SIGTERM)
        text, _ = process.communicate(timeout=30)
        assert process.returncode == 0 and "draining" in text and "penstockd ready" not in text, text


harness.run(globals())
