"""Another file fills the disk half way through, and is removed again: puts are refused by name, reads and
administration go on, nothing acknowledged is lost, and puts resume without a restart."""
import os

import checker
import harness
import load
import volumes

STREAM = "fleet"


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

            os.unlink(place / "filler")
            fleet.resume()
            load.acknowledged_soon(fleet, 200, seconds=30)
            fleet.stop()
            print(f"# after: {fleet.prove()}")
            assert daemon.terminate() == 0


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
