"""Real telemetry under splits and merges, while the daemon is killed at random moments: nothing
acknowledged is lost, doubled, changed or out of order. The same with SIGTERM, which ends with status 0."""
import random
import time

import harness
import load

STREAM = "fleet"


def messages():
    try:
        return harness.telemetry()
    except harness.Skip as reason:
        print(f"# {reason}: made-up messages instead")
        return load.made_up_messages(50_000)


def rounds(stop_daemon, number, longest_restart):
    with harness.daemon("kill") as daemon:
        harness.create_stream(daemon.boto3(), STREAM, 3)
        fleet = load.Fleet(daemon, STREAM, messages())
        fleet.start()
        chance = random.Random(11)
        for index in range(number):
            load.acknowledged_soon(fleet)
            time.sleep(0.2 + 1.3 * chance.random())
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


harness.run(globals())
