"""Real telemetry under splits and merges, while the daemon is killed at random moments: nothing
acknowledged is lost, doubled, changed or out of order. The same with SIGTERM, which ends with status 0.

Idempotent producers of the C++ library are held to more: each record is stored exactly once, and its result says where;
only the last ones of a producer that is killed itself have none, and are stored at most once."""
import os
import random
import time

import harness
import load
from native_writer import NativeWriter

STREAM = "fleet"


def messages():
    try:
        return harness.telemetry()
    except harness.Skip as reason:
        print(f"# {reason}: made-up messages instead")
        return load.made_up_messages(50_000)


def rounds(stop_daemon, number, longest_restart, disturb=lambda fleet: None, environment=None, **options):
    """`disturb(fleet)` is called before each stop."""
    with harness.daemon("kill", environment=environment) as daemon:
        harness.create_stream(daemon.boto3(), STREAM, 3)
        fleet = load.Fleet(daemon, STREAM, messages(), **options)
        fleet.start()
        chance = random.Random(11)
        for index in range(number):
            load.acknowledged_soon(fleet)
            time.sleep(0.2 + 1.3 * chance.random())
            disturb(fleet)
            stop_daemon(daemon)
            seconds = daemon.start()
            assert seconds <= longest_restart, f"restart took {seconds:.2f} s"
            load.acknowledged_soon(fleet)
            if index % 5 == 4 or index == number - 1:
                fleet.stop()
                print(f"# after {index + 1}: {fleet.prove(2)}", flush=True)
                if index != number - 1:
                    fleet.resume()
        resharder = fleet.resharder
        print(f"# {resharder.splits} splits, {resharder.merges} merges; restart in {seconds:.2f} s")
        assert resharder.splits and resharder.merges


def test_kill_9():
    rounds(lambda daemon: daemon.kill(), harness.count("PENSTOCK_KILLS", 10), 10)


def test_sigterm():
    def stop(daemon):
        status = daemon.terminate()
        assert status == 0, f"SIGTERM: exit status {status}"
    rounds(stop, 4, 10)


def test_kill_9_native():
    rounds(lambda daemon: daemon.kill(), harness.count("PENSTOCK_KILLS", 10), 10, writer=NativeWriter)


def test_kill_9_of_producers():
    """Only what a killed one had under way has no outcome; its successor is another producer."""
    chance, fleets = random.Random(12), []

    def kill(fleet):
        fleets.append(fleet)
        for writer in fleet.writers:
            for _ in range(chance.randrange(3)):
                writer.kill()
                load.acknowledged_soon(fleet)
    rounds(lambda daemon: daemon.kill(), 5, 10, kill, writer=NativeWriter)
    kills = sum(writer.kills for writer in fleets[-1].writers)
    assert kills >= 3, f"{kills} producers were killed"


def test_forgotten_producers_are_seen():
    if os.environ.get("PENSTOCK_HAS_SABOTAGE") != "true":
        harness.skip("built without -Dsabotage=true")
    try:
        rounds(lambda daemon: daemon.kill(), 5, 10, writer=NativeWriter,
               environment={"PENSTOCK_SABOTAGE": "14"})  # kForgetProducers of src/storage/sabotage.h
    except AssertionError as found:
        print(f"# seen: {str(found)[:200]!r}")
        assert "have no result that says where they are" in str(found), found
        return
    raise AssertionError("a server that forgets producers, and nothing was unknown")


harness.run(globals())
