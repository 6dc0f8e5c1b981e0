"""Power cuts under load, on ext4 and XFS: the disk below the daemon forgets, at a random moment, a random part
of what was not flushed; nothing acknowledged may be missing afterwards, and idempotent producers of the C++ library,
whose turn is every second cut, find out of each record where it is. And the device sees a flush for every acknowledged
group commit. A daemon without O_DSYNC must fail both: otherwise these tests would see nothing."""
import os
import random
import time

import checker
import harness
import load
import volumes
from native_writer import NativeWriter

STREAM = "fleet"
WITHOUT_DSYNC = {"PENSTOCK_SABOTAGE": "2"}  # kDropDsync of src/storage/sabotage.h


def cut_rounds(kind, rounds, environment=None):
    with harness.scratch("powercut") as folder, volumes.CutDisk(folder, kind) as disk:
        with harness.Daemon(disk.place / "data", environment=environment, log=folder / "log") as daemon:
            harness.create_stream(daemon.boto3(), STREAM, 3)
            messages, journal = load.made_up_messages(20_000), checker.Journal()
            fleets = [load.Fleet(daemon, STREAM, messages, journal=journal, batch=(1, 60)),
                      load.Fleet(daemon, STREAM, messages, journal=journal, writer=NativeWriter, name="n")]
            chance = random.Random(disk.seed)
            for number in range(rounds):
                fleet = fleets[number % len(fleets)]
                fleet.resume()
                load.acknowledged_soon(fleet, 100)
                time.sleep(2 * chance.random())
                disk.cut()
                daemon.kill()
                disk.restore()
                daemon.start()
                load.acknowledged_soon(fleet, 100)
                fleet.stop()
                print(f"# {kind}, cut {number + 1}: {fleet.prove()}, disk {disk.state()}", flush=True)
            assert disk.state()["lost"] > 0, "the cuts lost nothing: they proved nothing"


def flushes_and_commits(kind, environment=None):
    """(flushes the device saw, group commits the daemon acknowledged) while one client puts one by one, so
    that no two commits are in flight, which could share a flush."""
    with harness.scratch("flushes") as folder, volumes.CutDisk(folder, kind) as disk:
        with harness.Daemon(disk.place / "data", environment=environment, log=folder / "log") as daemon:
            client = daemon.boto3()
            harness.create_stream(client, STREAM, 1)
            time.sleep(1)
            commits, flushes = daemon.metric("penstock_journal_blocks_total"), disk.state()["flushes"]
            for number in range(300):
                client.put_record(StreamName=STREAM, PartitionKey="k", Data=b"%d" % number)
            # The device is asked first: what is flushed later must not count for these commits.
            flushes = disk.state()["flushes"] - flushes
            return flushes, daemon.metric("penstock_journal_blocks_total") - commits


def test_cut_ext4():
    cut_rounds("ext4", harness.count("PENSTOCK_POWER_CUTS", 2))


def test_cut_xfs():
    cut_rounds("xfs", harness.count("PENSTOCK_POWER_CUTS", 2))


def test_a_flush_for_every_commit():
    for kind in ("ext4", "xfs"):
        flushes, commits = flushes_and_commits(kind)
        print(f"# {kind}: {flushes} flushes, {commits:.0f} commits")
        assert flushes >= commits >= 300, (kind, flushes, commits)


def need_sabotage():
    if os.environ.get("PENSTOCK_HAS_SABOTAGE") != "true":
        harness.skip("built without -Dsabotage=true")


def test_cut_without_dsync_is_seen():
    need_sabotage()
    try:
        cut_rounds("ext4", 5, WITHOUT_DSYNC)
    # A violation of a promise, a data directory that does not open, or loss that a reader or a producer is told of.
    except Exception as found:
        print(f"# seen: {str(found)[:200]!r}")
        seen = isinstance(found, checker.Violation) or any(
            sign in str(found) for sign in ("before it was ready", "PS-2005", "have no result that says where they are"))
        assert seen, found
        return
    raise AssertionError("five power cuts without O_DSYNC, and nothing was missed")


def test_flushes_without_dsync_are_missed():
    need_sabotage()
    flushes, commits = flushes_and_commits("ext4", WITHOUT_DSYNC)
    print(f"# {flushes} flushes, {commits:.0f} commits")
    assert commits >= 300 > flushes, (flushes, commits)


harness.run(globals())
