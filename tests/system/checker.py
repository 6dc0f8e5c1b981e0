"""The external checker: its own journal of what was sent and answered, and the proof against what is read.

Writers note every attempt before it is sent and its outcome after the answer: acknowledged with shard and
sequence number, refused, or unknown (no answer: 0 or 1 copy). A record's data says who it is:
`writer:counter:digest:` and then whatever it carries.

`prove` takes everything that was read from TRIM_HORIZON, parents before children, and asserts:
  1. every acknowledged record is there once, at its number, in its shard, with its key, unchanged;
  2. nothing is there that was never sent, and nothing refused;
  3. of an attempt with unknown outcome there is at most one copy;
  4. within a shard numbers strictly rise, and children's are above their parents';
  5. records of one key stand in the order in which they were acknowledged;
  6. those that an idempotent producer made stand in the order of its attempts, acknowledged or not.
A checker that misses a lie is worth nothing: test_checker.py tells it each kind.
"""
import dataclasses
import hashlib
import itertools
import threading

ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"


@dataclasses.dataclass
class Attempt:
    record: str                 # writer:counter
    key: str
    begun: int                  # on the journal's clock, before sending
    outcome: str = UNKNOWN      # until told otherwise
    ended: int = 0
    shard: str = ""
    sequence: int = 0
    producer: str = ""          # the idempotent one that made it, which keeps the order of its attempts; none


@dataclasses.dataclass
class Read:
    shard: str
    sequence: int
    key: str
    data: bytes


class Violation(AssertionError):
    pass


def make_record(writer, counter, payload):
    """(identity, data) of a record that proves itself."""
    identity = f"{writer}:{counter}"
    digest = hashlib.blake2b(identity.encode() + b":" + payload, digest_size=12).hexdigest()
    return identity, f"{identity}:{digest}:".encode() + payload


def endless_records(writer, messages):
    """(identity, data, key) of (key, payload) messages, again and again."""
    for counter, (key, payload) in enumerate(itertools.cycle(messages)):
        yield (*make_record(writer, counter, payload), key)


def open_record(data):
    """Identity of a record read; raises where the data is not what its digest says."""
    try:
        writer, counter, digest, payload = data.split(b":", 3)
    except ValueError:
        raise Violation(f"a record that nobody sent: {data[:80]!r}") from None
    identity = writer + b":" + counter
    if hashlib.blake2b(identity + b":" + payload, digest_size=12).hexdigest().encode() != digest:
        raise Violation(f"record {identity.decode()} was changed: {data[:80]!r}")
    return identity.decode()


class Journal:
    """Intents and outcomes, in memory. Writers of several threads share one."""

    def __init__(self):
        self.attempts = []
        self._clock = 0
        self._lock = threading.Lock()

    def begin(self, records, producer=""):
        """Notes attempts to send [(identity, key)] in one call, before it is sent."""
        with self._lock:
            self._clock += 1
            attempts = [Attempt(identity, key, self._clock, producer=producer) for identity, key in records]
            self.attempts += attempts
            return attempts

    def end(self, attempts, outcomes):
        """Notes the outcome of each: (ACKNOWLEDGED, shard, sequence), or REFUSED or UNKNOWN alone."""
        with self._lock:
            self._clock += 1
            for attempt, outcome in zip(attempts, outcomes, strict=True):
                attempt.outcome, attempt.ended = outcome[0], self._clock
                if outcome[0] == ACKNOWLEDGED:
                    attempt.shard, attempt.sequence = outcome[1], int(outcome[2])

    def counts(self):
        with self._lock:
            totals = {ACKNOWLEDGED: 0, REFUSED: 0, UNKNOWN: 0}
            for attempt in self.attempts:
                totals[attempt.outcome] += 1
            return totals


class JournalFile:
    """What one life of an idempotent producer writes of its attempts (native_load/native_load.cc), taken into a
    Journal. A line that a kill has cut does not count: the attempt was not made, or its outcome is unknown."""

    def __init__(self, path, journal, producer):
        self.path, self.journal, self.producer = path, journal, producer
        self.open, self.refused, self.unknown, self._taken = {}, 0, 0, 0

    def take(self):
        """What was written since the last time."""
        if not self.path.exists():
            return
        with open(self.path, "rb") as file:
            file.seek(self._taken)
            written = file.read()
        written = written[:written.rfind(b"\n") + 1]
        self._taken += len(written)
        begun = []
        for line in written.decode().splitlines():
            what, identity, *rest = line.split("\t")
            if what == "begin":
                begun.append((identity, rest[0]))
                continue
            self._begin(begun)
            outcome = (ACKNOWLEDGED, *rest) if what == "stored" else ({"refused": REFUSED, "unknown": UNKNOWN}[what],)
            self.journal.end([self.open.pop(identity)], [outcome])
            self.refused += what == "refused"
            self.unknown += what == "unknown"
        self._begin(begun)

    def _begin(self, begun):
        """Attempts between which nothing was answered are as one call's."""
        if begun:
            self.open.update(zip((identity for identity, _ in begun), self.journal.begin(begun, self.producer)))
            begun.clear()


def read_everything(client, stream):
    """(reads in order, parents by shard): every shard from TRIM_HORIZON to its end, parents first.

    Follows ListShards, and holds what it learns against it: a closed shard ends with ChildShards that name
    it as their parent, an open one with nothing left and no delay.
    """
    shards, arguments = {}, {"StreamName": stream}
    while True:
        page = client.list_shards(**arguments)
        shards.update((shard["ShardId"], shard) for shard in page["Shards"])
        if "NextToken" not in page:
            break
        arguments = {"NextToken": page["NextToken"]}
    parents = {name: [shard[field] for field in ("ParentShardId", "AdjacentParentShardId") if field in shard]
               for name, shard in shards.items()}
    reads, done = [], set()

    def read_shard(name):
        if name in done or name not in shards:
            return
        for parent in parents[name]:
            read_shard(parent)
        done.add(name)
        iterator = client.get_shard_iterator(StreamName=stream, ShardId=name,
                                             ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while iterator:
            answer = client.get_records(ShardIterator=iterator, Limit=10000)
            reads.extend(Read(name, int(record["SequenceNumber"]), record["PartitionKey"], record["Data"])
                         for record in answer["Records"])
            iterator = answer.get("NextShardIterator")
            closed = "EndingSequenceNumber" in shards[name]["SequenceNumberRange"]
            children = {child["ShardId"] for child in answer.get("ChildShards", [])}
            if bool(children) != (iterator is None):
                raise Violation(f"{name}: ChildShards {children} with next iterator {iterator!r}")
            if iterator is None:
                expected = {child for child, above in parents.items() if name in above}
                if not closed or children != expected:
                    raise Violation(f"{name} ended with children {children}, ListShards says {expected}")
            elif not answer["Records"] and answer["MillisBehindLatest"] == 0 and not closed:
                break

    for name in sorted(shards):
        read_shard(name)
    return reads, parents


def prove(journal, reads, parents):
    """Raises Violation where what was read is not what the journal allows; returns counts."""
    attempts = {}
    for attempt in journal.attempts:
        attempts.setdefault(attempt.record, []).append(attempt)
    copies, last_of_shard, first_of_shard = {}, {}, {}
    for read in reads:
        identity = open_record(read.data)
        tried = attempts.get(identity)
        if not tried:
            raise Violation(f"record {identity} was never sent")
        if tried[0].key != read.key:
            raise Violation(f"record {identity} has key {read.key!r}, was sent with {tried[0].key!r}")
        if read.sequence <= last_of_shard.get(read.shard, -1):
            raise Violation(f"{read.shard}: number {read.sequence} after {last_of_shard[read.shard]}")
        last_of_shard[read.shard] = read.sequence
        first_of_shard.setdefault(read.shard, read.sequence)
        copies.setdefault(identity, []).append((read.shard, read.sequence))
    for shard, above in parents.items():
        for parent in above:
            if shard in first_of_shard and first_of_shard[shard] <= last_of_shard.get(parent, -1):
                raise Violation(f"{shard} starts at {first_of_shard[shard]}, its parent {parent} ends later")
    _prove_copies(attempts, copies)
    _prove_order(journal.attempts)
    _prove_producers(journal.attempts, copies)
    return {**journal.counts(), "read": len(reads), "shards": len(parents)}


def _prove_copies(attempts, copies):
    for identity, tried in attempts.items():
        left = list(copies.get(identity, ()))
        for attempt in tried:
            if attempt.outcome == ACKNOWLEDGED:
                place = (attempt.shard, attempt.sequence)
                if place not in left:
                    raise Violation(f"acknowledged record {identity} is not at {place}; found at {left}")
                left.remove(place)
        unknown = sum(attempt.outcome == UNKNOWN for attempt in tried)
        if len(left) > unknown:
            raise Violation(f"record {identity}: {len(left)} copies besides the acknowledged ones, "
                            f"{unknown} attempts of unknown outcome: {left}")


def _prove_order(attempts):
    """Of one key: what was acknowledged before a later call began has the smaller number, and so have
    earlier entries of the same call. Numbers of children are above their parents', so a key's numbers
    compare over splits and merges."""
    by_key = {}
    for attempt in attempts:  # in order of `begun`, and within a call in order of entries
        if attempt.outcome == ACKNOWLEDGED:
            by_key.setdefault(attempt.key, []).append(attempt)
    for key, acknowledged in by_key.items():
        finished = sorted(acknowledged, key=lambda attempt: attempt.ended)
        highest, position, previous = -1, 0, None
        for attempt in acknowledged:
            while position < len(finished) and finished[position].ended < attempt.begun:
                highest = max(highest, finished[position].sequence)
                position += 1
            if attempt.sequence <= highest:
                raise Violation(f"key {key!r}: {attempt.record} at {attempt.sequence} was sent after "
                                f"{highest} had been acknowledged")
            if previous and previous.begun == attempt.begun and attempt.sequence <= previous.sequence:
                raise Violation(f"key {key!r}: {attempt.record} at {attempt.sequence} is before "
                                f"{previous.record}, an earlier entry of its call")
            previous = attempt


def _prove_producers(attempts, copies):
    """However many were under way at once. An attempt is its record's only one: a producer sends none twice."""
    last = {}
    for attempt in attempts:
        if attempt.producer:
            found = copies.get(attempt.record, ())
            if len(found) > 1:
                raise Violation(f"record {attempt.record} of {attempt.producer} is stored {len(found)} times: {found}")
            for _, sequence in found:
                above = last.get((attempt.producer, attempt.key), -1)
                if sequence <= above:
                    raise Violation(f"key {attempt.key!r} of {attempt.producer}: {attempt.record} at {sequence}, "
                                    f"behind {above} of an earlier attempt")
                last[attempt.producer, attempt.key] = sequence
