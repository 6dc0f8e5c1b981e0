"""Load with a memory: writers that put real or made-up messages, note every outcome in the checker's journal,
and put again what was refused or is unknown, while somebody splits and merges shards under them."""
import random
import threading
import time

import checker
import harness
from checker import ACKNOWLEDGED, REFUSED, UNKNOWN

# What a put may be answered with when it was certainly not stored.
REFUSALS = {"ProvisionedThroughputExceededException", "LimitExceededException", "ResourceNotFoundException",
            "ResourceInUseException", "KMSThrottlingException"}


def made_up_messages(count, seed=1):
    """(device, payload) like a fleet's, where the real telemetry is not wanted."""
    chance = random.Random(seed)
    return [(f"vehicle-{chance.randrange(200)}", chance.randbytes(chance.randrange(40, 700)).hex().encode())
            for _ in range(count)]


class Writer(threading.Thread):
    """One connection that puts its devices' messages in order, up to 500 a call.

    What a call left undone goes first into the next one, as a new attempt, so a key's order is kept: after
    a refusal the service refuses later entries of that shard too, and the writer keeps the rest in order.
    """

    def __init__(self, name, daemon, stream, messages, journal, batch=(1, 500), pause=0.0):
        super().__init__(name=name, daemon=True)
        self.server, self.client, self.stream, self.journal = daemon, daemon.boto3(), stream, journal
        self.batch, self.pause = batch, pause
        self.chance = random.Random(name)
        self.stopping = threading.Event()
        self.error = None
        self.waiting = []  # (identity, key, data) to be put again
        self.messages = checker.endless_records(name, messages)

    def successor(self):
        """A thread that goes on where this one has stopped."""
        new = Writer(self.name, self.server, self.stream, [], self.journal, self.batch, self.pause)
        new.messages, new.waiting, new.chance = self.messages, self.waiting, self.chance
        return new

    def run(self):
        try:
            while not self.stopping.is_set():
                self._call()
                time.sleep(self.pause * self.chance.random())
        except Exception as error:
            self.error = error

    def _call(self):
        from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError
        entries = self.waiting[:500]
        rest = self.waiting[500:]
        while len(entries) < self.chance.randint(*self.batch):
            identity, data, device = next(self.messages)
            entries.append((identity, device, data))
        attempts = self.journal.begin([(identity, key) for identity, key, _ in entries])
        try:
            answer = self.client.put_records(StreamName=self.stream, Records=[
                {"PartitionKey": key, "Data": data} for _, key, data in entries])
            outcomes = [self._outcome(entry) for entry in answer["Records"]]
        except ClientError as error:
            refused = error.response["Error"]["Code"] in REFUSALS
            outcomes = [(REFUSED if refused else UNKNOWN,)] * len(entries)
        except EndpointConnectionError:  # nobody listened: nothing was sent
            outcomes = [(REFUSED,)] * len(entries)
        except BotoCoreError:
            outcomes = [(UNKNOWN,)] * len(entries)
        self.journal.end(attempts, outcomes)
        undone = [entry for entry, outcome in zip(entries, outcomes) if outcome[0] != ACKNOWLEDGED]
        self.waiting = undone + rest
        if undone:
            self.stopping.wait(0.1)

    @staticmethod
    def _outcome(entry):
        if "SequenceNumber" in entry:
            return ACKNOWLEDGED, entry["ShardId"], entry["SequenceNumber"]
        return (REFUSED if entry["ErrorCode"] in REFUSALS else UNKNOWN,)


class Resharder(threading.Thread):
    """Splits and merges open shards at random; whatever is refused or breaks off is tried again later."""

    def __init__(self, client, stream, most=12, pause=0.2):
        super().__init__(name="resharder", daemon=True)
        self.client, self.stream, self.most, self.pause = client, stream, most, pause
        self.chance = random.Random(7)
        self.stopping = threading.Event()
        self.splits = self.merges = 0
        self.error = None

    def run(self):
        from botocore.exceptions import BotoCoreError, ClientError
        try:
            while not self.stopping.wait(self.pause * (0.5 + self.chance.random())):
                try:
                    self._step()
                except ClientError as error:
                    # Busy, or the shard list was already old: both are what an operator meets.
                    name = error.response["Error"]["Code"]
                    if name not in ("ResourceInUseException", "LimitExceededException",
                                    "ResourceNotFoundException", "InvalidArgumentException",
                                    "InternalFailure", "ServiceUnavailable"):
                        raise
                except BotoCoreError:
                    pass
        except Exception as error:
            self.error = error

    def _step(self):
        answer = self.client.list_shards(StreamName=self.stream, ShardFilter={"Type": "AT_LATEST"})
        shards = sorted(answer["Shards"], key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))
        if len(shards) < self.most and (len(shards) < 3 or self.chance.random() < 0.55):
            shard = self.chance.choice(shards)
            low, high = (int(shard["HashKeyRange"][end]) for end in ("StartingHashKey", "EndingHashKey"))
            self.client.split_shard(StreamName=self.stream, ShardToSplit=shard["ShardId"],
                                    NewStartingHashKey=str(self.chance.randint(low + 2, high - 2)))
            self.splits += 1
        else:
            index = self.chance.randrange(len(shards) - 1)
            self.client.merge_shards(StreamName=self.stream, ShardToMerge=shards[index]["ShardId"],
                                     AdjacentShardToMerge=shards[index + 1]["ShardId"])
            self.merges += 1


def deal(messages, writers):
    """Messages by writer, so that a device is one writer's alone and its order means something."""
    devices = {device: index % writers for index, device in enumerate(dict(messages))}
    return [[message for message in messages if devices[message[0]] == writer] for writer in range(writers)]


class Fleet:
    """Writers and a resharder over one stream of one daemon; `stop` halts them, `prove` checks all. Fleets of other
    names may share a journal, but not run at once."""

    def __init__(self, daemon, stream, messages, writers=2, reshard=True, writer=Writer, name="w", journal=None,
                 **options):
        self.daemon, self.stream, self.journal = daemon, stream, journal or checker.Journal()
        self.writers = [writer(f"{name}{index}", daemon, stream, share, self.journal, **options)
                        for index, share in enumerate(deal(messages, writers))]
        self.resharder = Resharder(daemon.boto3(), stream) if reshard else None
        self._threads = []

    def start(self):
        for thread in self.writers + [self.resharder] * bool(self.resharder):
            thread.start()
            self._threads.append(thread)

    def stop(self):
        """Ends all threads; their calls in flight are answered, or unknown."""
        for thread in self._threads:
            thread.stopping.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), f"{thread.name} hangs in a call"
            if thread.error:
                raise thread.error

    def resume(self):
        """New threads that go on where the old ones stopped."""
        self.writers = [writer.successor() for writer in self.writers]
        if self.resharder:
            old = self.resharder
            self.resharder = Resharder(old.client, self.stream)
            self.resharder.chance, self.resharder.splits, self.resharder.merges = old.chance, old.splits, old.merges
        self._threads = []
        self.start()

    def prove(self, times=1):
        client = self.daemon.boto3(retries=3)
        harness.wait_active(client, self.stream)  # the last split or merge may still be under way
        for _ in range(times):
            counts = checker.prove(self.journal, *checker.read_everything(client, self.stream))
        return counts


def acknowledged_soon(fleet, more=1, seconds=20):
    """Waits until `more` records have been acknowledged than there were: puts make progress."""
    before = fleet.journal.counts()[ACKNOWLEDGED]
    harness.eventually(lambda: fleet.journal.counts()[ACKNOWLEDGED] >= before + more, seconds,
                       f"{more} more acknowledgements")
