"""Another file fills the disk half way through, and is removed again: puts are refused by name, reads and
administration go on, nothing acknowledged is lost, and puts resume without a restart."""
import json
import os
import signal
import subprocess

import checker
import harness
import load
import volumes

STREAM = "fleet"
PENSTOCK = harness.BUILD / "tools" / "penstock" / "penstock"


def fill(path):
    """Leaves not a block free."""
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
        os.fsync(file.fileno())


def test_disk_full():
    with harness.scratch("full") as folder, volumes.small_ext4(folder, 1024) as place:
        with harness.Daemon(place / "data", log=folder / "log") as daemon:
            client = daemon.boto3(retries=0)
            harness.create_stream(client, STREAM, 2)
            fleet = load.Fleet(daemon, STREAM, big_messages(), writers=2, reshard=False, batch=(40, 50))
            fleet.start()
            load.acknowledged_soon(fleet, 200)
            fill(place / "filler")
            refused = harness.eventually(lambda: refusals(fleet), 120, "puts are refused")
            print(f"# refused with the disk full: {refused}")

            # Reads and administration keep working.
            harness.create_stream(client, "another", 1)
            client.split_shard(StreamName="another", ShardToSplit="shardId-000000000000",
                               NewStartingHashKey=str(2**127))
            harness.wait_active(client, "another")
            client.delete_stream(StreamName="another")
            fleet.stop()
            print(f"# while full: {fleet.prove()}")
            reasons = harness.eventually(lambda: unready(daemon), what="/readyz says why")
            print(f"# /readyz: {reasons!r}")
            harness.eventually(lambda: "file_system_full" in told(daemon), what="the log says so")

            os.unlink(place / "filler")
            fleet.resume()
            load.acknowledged_soon(fleet, 200, seconds=30)
            fleet.stop()
            print(f"# after: {fleet.prove()}")
            harness.eventually(lambda: {"file_system_has_room", "journal_has_room"} <= told(daemon), what="and that it is over")
            assert daemon.terminate() == 0


def told(daemon):
    """The events in the log."""
    return {json.loads(line)["event"] for line in daemon.log().splitlines() if line.startswith("{")}


def configured(folder, journal):
    """A daemon with one cell and this [journal], not yet started."""
    daemon = harness.Daemon(folder / "data")
    (folder / "penstock.toml").write_text(f"""
[data]
directory = "{daemon.directory}"
[cores]
data = [0]
service = 0
pin = false
[journal]
cells = 1
{journal}
[kinesis]
https = "127.0.0.1:{daemon.port}"
http = "127.0.0.1:{daemon.port + 1}"
[native]
listen = "off"
[admin]
listen = "127.0.0.1:{daemon.port + 3}"
[limits]
shard = "none"
""")
    daemon.arguments = [str(harness.DAEMON), "--config", str(folder / "penstock.toml")]
    return daemon


def test_a_journal_that_may_not_grow_says_so():
    """No administrative call has opened the reserved slot: puts are refused though one slot is free."""
    journal = 'slot_bytes = "32MiB"\nsize_min = "128MiB"\nsize_max = "160MiB"'
    with harness.scratch("size-max") as folder, configured(folder, journal) as daemon:
        client = daemon.boto3(retries=0)
        harness.create_stream(client, STREAM, 1)
        assert daemon.administration("/readyz") == "ready\n"
        records = [{"PartitionKey": "bus-1", "Data": os.urandom(1 << 19)}] * 16

        def refused():
            return client.put_records(StreamName=STREAM, Records=records)["FailedRecordCount"] == len(records)

        def refused_for_good():  # all slots but the reserved one hold data
            return refused() and daemon.metric("penstock_journal_segments") == 4
        harness.eventually(refused_for_good, 60, "puts are refused")
        _, message = harness.refusal(client.put_record, StreamName=STREAM, PartitionKey="bus-1", Data=b"x")
        assert "PS-3001" in message, message
        assert daemon.metric("penstock_journal_slots_free") == 1
        reason = harness.eventually(lambda: unready(daemon), what="/readyz says why")
        assert "160 MiB of 160 MiB" in reason and "raise size_max" in reason, reason
        assert daemon.metric("penstock_ready") == 0
        put = subprocess.run([PENSTOCK, "--dir", daemon.directory, "--endpoint", daemon.http, "put", STREAM, "--key", "k"],
                             input="one\ntwo\n", capture_output=True, text=True, timeout=90)
        assert put.returncode == 7 and "0 of 2 records were put" in put.stderr, put
        assert "InternalFailure" in put.stderr and "/readyz" in put.stderr, put
        harness.eventually(lambda: {"journal_full", "not_ready"} <= told(daemon), what="the log says so")


def test_a_fleet_ends_though_nobody_answers():
    """Its --timeout is far beyond its seconds and their grace."""
    with harness.daemon("silent") as daemon:
        harness.create_stream(daemon.boto3(), STREAM, 1)
        fleet = subprocess.Popen([PENSTOCK, "--dir", daemon.directory, "--timeout", "300s", "fleet", STREAM,
                                  "--seconds", "2", "--no-verify"], stdout=subprocess.PIPE, text=True)
        harness.eventually(lambda: daemon.metric("penstock_put_records_total") > 0, what="the fleet sends")
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            text, _ = fleet.communicate(timeout=120)
        finally:
            fleet.kill()
            daemon.process.send_signal(signal.SIGCONT)
        assert fleet.returncode == 0 and text, (fleet.returncode, text)


def big_messages():
    return [(device, payload * 40) for device, payload in load.made_up_messages(3000)]


def refusals(fleet):
    """Refused or unknown outcomes of the last calls, once there were enough of them in a row."""
    last = fleet.journal.attempts[-100:]
    bad = [attempt.outcome for attempt in last if attempt.outcome != checker.ACKNOWLEDGED and attempt.ended]
    return {outcome: bad.count(outcome) for outcome in set(bad)} if len(bad) >= 80 else None


def unready(daemon):
    import urllib.error
    try:
        daemon.administration("/readyz")
    except urllib.error.HTTPError as error:
        return error.read().decode()
    return None


harness.run(globals())
