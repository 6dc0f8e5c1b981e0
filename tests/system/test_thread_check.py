"""A short life under load with splits and merges, for ThreadSanitizer's tree (any other tree passes, too): the
promises hold, SIGTERM ends with status 0, and no sanitizer had anything to say."""
import time

import harness
import load

STREAM = "fleet"


def test_short_life():
    with harness.daemon("threads") as daemon:
        for _ in range(2):
            if not daemon.running():
                daemon.start(120)
            client = daemon.boto3()
            if STREAM not in client.list_streams()["StreamNames"]:
                harness.create_stream(client, STREAM, 2)
                fleet = load.Fleet(daemon, STREAM, load.made_up_messages(2_000), batch=(1, 50))
                fleet.start()
            else:
                fleet.resume()
            load.acknowledged_soon(fleet, 100, 60)
            time.sleep(4)
            daemon.administration("/metrics")
            fleet.stop()
            print(f"# {fleet.prove()}")
            assert daemon.terminate(60) == 0, daemon.log()[-4000:]
        for word in ("ThreadSanitizer", "AddressSanitizer", "runtime error:"):
            assert word not in daemon.log(), daemon.log()[-8000:]


harness.run(globals())
