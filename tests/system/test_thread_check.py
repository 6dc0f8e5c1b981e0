"""A short life under load with splits and merges, for ThreadSanitizer's tree (any other tree passes, too): the
promises hold, SIGTERM ends with status 0, and no sanitizer had anything to say: once with boto3, once with the C++
library, whose own processes end with a status if one had."""
import time

import harness
import load
from native_writer import NativeWriter

STREAM = "fleet"


def short_life(**options):
    with harness.daemon("threads") as daemon:
        for _ in range(2):
            if not daemon.running():
                daemon.start(120)
            client = daemon.boto3()
            if STREAM not in client.list_streams()["StreamNames"]:
                harness.create_stream(client, STREAM, 2)
                fleet = load.Fleet(daemon, STREAM, load.made_up_messages(2_000), **options)
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


def test_short_life():
    short_life(batch=(1, 50))


def test_short_life_of_native_clients():
    short_life(writer=NativeWriter)


harness.run(globals())
