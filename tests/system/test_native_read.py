"""Reading by the native protocol: gets that wait, subscriptions from every position and under credit, many readers of
one shard, and all of it while shards are split and merged under producers."""
import collections
import secrets
import threading
import time

import harness
import native_session as native
from native_session import Session, failure, hash_of, position, stored_batches

SPACE = 2**128


def fill(session, stream, batches, records=10, size=100):
    """A stream of one shard with that in it; its records as (key, data)."""
    session.create(stream, 1)
    lane, sent = session.opened(stream, 0), []
    for number in range(batches):
        rows = [(b"key-%d" % n, b"%d-%d " % (number, n) + secrets.token_bytes(size)) for n in range(records)]
        assert session.put_wait(lane, rows).kind == native.PUT_DONE
        sent += rows
    return lane, sent


def test_gets():
    with harness.daemon("native") as daemon, Session(daemon) as session, Session(daemon) as reader:
        lane, sent = fill(session, "data", 30)
        found, end = reader.read("data", 0)
        assert [(record.key, record.data) for record in found] == sent
        assert (end.next, end.end, end.millis_behind) == (300, False, 0), end
        for bytes_max in (1, 2000, 5000, 1 << 20):
            for start in (0, 7, 295):
                got = reader.get(2000, "data", 0, position("Index", start), bytes_max)
                held = stored_batches(got.attachment)
                assert len(held) == 1 or len(got.attachment) <= bytes_max, (bytes_max, len(got.attachment))
                assert held[0].first <= start == got.table.from_ < got.table.next, got.table
                assert got.table.next <= held[-1].records[-1].index + 1, got.table
                assert [(one.key, one.data) for one in native.meant(got)] == sent[start:got.table.next]
        for records_max in (1, 5, 10, 11, 100):
            got = reader.get(2000, "data", 0, position("Index", 3), records_max=records_max)
            assert 0 < got.table.next - got.table.from_ <= records_max, (records_max, got.table)
        assert reader.get(2000, "data", 0, position("Horizon")).table.from_ == 0
        assert reader.get(2000, "data", 0, position("Latest")).table.from_ == 300
        time.sleep(0.05)
        middle = int(time.time() * 1000)
        session.put_wait(lane, [(b"new", b"new")])
        got = reader.get(2000, "data", 0, position("Time", time_ms=middle))
        assert (got.table.from_, got.table.next) == (300, 301), got.table
        assert reader.get(2000, "data", 0, position("Time", time_ms=1)).table.from_ == 0

        # Waiting: until the time is over, or a record comes.
        begin = time.monotonic()
        got = reader.get(2000, "data", 0, position("Latest"), wait_ms=500)
        assert not got.attachment and time.monotonic() - begin > 0.4, got
        request = reader.send(2000, native.GET, native.table(
            "Get", stream="data", shard=0, position=position("Latest"), bytes_max=1 << 20, records_max=100,
            wait_ms=15_000))
        time.sleep(0.3)
        begin = time.monotonic()
        session.put_wait(lane, [(b"waited for", b"x")])
        got = reader.answer(request)
        assert [record.key for record in native.meant(got)] == [b"waited for"], got
        assert time.monotonic() - begin < 10, "answered when the time was over"
        for answer in (reader.get(2001, "none", 0, position("Horizon")),
                       reader.get(2001, "data", 5, position("Horizon"))):
            assert answer.kind == native.FAILED, answer


def test_subscriptions():
    with harness.daemon("native") as daemon, Session(daemon) as session, Session(daemon, tls=True) as reader:
        lane, sent = fill(session, "data", 20)
        time.sleep(0.05)
        middle = int(time.time() * 1000)
        sent += [(b"late", b"%d" % n) for n in range(5)]
        session.put_wait(lane, sent[-5:])
        for at, start in ((position("Horizon"), 0), (position("Index", 13), 13), (position("Latest"), 205),
                          (position("Time", time_ms=middle), 200)):
            before = len(sent)
            own, told = reader.subscribe("data", 0, at, window=4096, delivery_bytes=1024)
            assert told.kind == native.SUBSCRIBED and told.table.next == (start if start < 205 else before), told
            start = told.table.next
            sent += [(b"more", b"%d" % len(sent))]
            session.put_wait(lane, sent[-1:])
            found, messages = reader.delivered(own, len(sent) - start)
            assert [(record.key, record.data) for record in found] == sent[start:]
            assert [record.index for record in found] == list(range(start, len(sent)))
            edges = [start] + [message.table.next for message in messages]
            assert [message.table.from_ for message in messages] == edges[:-1], "a gap between deliveries"
            reader.frame(native.RESET, own)
        own, _ = reader.subscribe("data", 0, position("Latest"))
        for _ in range(2):  # nothing else: a sign of life every 5 s
            quiet = reader.wait(lambda message: getattr(message, "lane", 0) == own, 9)
            assert quiet.kind == native.DELIVERY and not quiet.attachment, quiet
            assert quiet.table.from_ == quiet.table.next == len(sent), quiet
        for stream, shard in (("none", 0), ("data", 7)):
            lane = reader.subscribe(stream, shard, position("Horizon"), wait=False)
            try:
                answer = reader.wait(lambda message: getattr(message, "lane", 0) == lane, lane=lane)
                assert answer.kind == native.FAILED, answer
            except native.LaneReset as reset:
                assert reset.code == "kGone", reset


def test_credit_of_subscriptions():
    with harness.daemon("native") as daemon, Session(daemon) as session, Session(daemon, largest=1 << 20) as reader:
        _, sent = fill(session, "data", 100, records=5, size=1000)
        lane = reader.subscribe("data", 0, position("Horizon"), window=None, wait=False)
        while reader.pump(1):
            pass
        assert reader.lane_taken.get(lane, 0) == 0, "more than was granted"
        granted = 0
        for step in (8, 1024, 7000, 7000, 50_000, 8, 100_000, 1 << 20):  # the client asserts each first piece
            granted += step
            reader.grant(lane, granted)
            while reader.pump(0.3):
                pass
            assert reader.lane_taken.get(lane, 0) <= granted
        reader.grant(lane, 4000)  # less than before: it only rises
        found, messages = [], [message for message in reader.inbox if message.kind == native.DELIVERY]
        for message in messages:
            found += native.meant(message)
        assert [(record.key, record.data) for record in found] == sent
        assert sum(native.rounded(message.size) for message in reader.inbox) == reader.lane_taken[lane] <= granted


def test_twenty_subscribers():
    with harness.daemon("native") as daemon, Session(daemon) as session:
        lane, sent = fill(session, "data", 50, size=2000)
        readers = [Session(daemon, tls=number % 2 == 1) for number in range(5)]
        lanes = [(reader, reader.subscribe("data", 0, position("Horizon"), window=100_000 + 10_000 * number,
                                           delivery_bytes=30_000)[0])
                 for reader in readers for number in range(4)]
        for number in range(50):
            sent.append((b"live", b"%d" % number * 300))
            session.put(lane, sent[-1:])
        streams = set()
        for reader, own in lanes:
            found, messages = reader.delivered(own, len(sent))
            assert [(record.key, record.data) for record in found] == sent
            batches = {}  # each once: a batch may come again where a delivery begins within it
            for message in messages:
                for held in stored_batches(message.attachment):
                    assert batches.setdefault(held.first, (held.header, held.flatbuffer)) == (
                        held.header, held.flatbuffer)
            streams.add(b"".join(header + flatbuffer for _, (header, flatbuffer) in sorted(batches.items())))
        assert len(streams) == 1, "subscribers got different bytes"
        for reader in readers:
            reader.close()


def test_map_changed():
    with harness.daemon("native") as daemon, Session(daemon) as asked, Session(daemon) as stranger, \
            Session(daemon) as actor:
        actor.create("data", 2)
        actor.create("other", 1)
        before = asked.get_map("data")
        assert actor.admin("SplitShard", stream="other", shard=0,
                           hash=native.value("HashKey", high=1 << 60)).kind == native.ADMIN_DONE
        for split in (lambda: actor.admin("SplitShard", stream="data", shard=0,
                                          hash=native.value("HashKey", high=1 << 62)),
                      lambda: daemon.boto3().merge_shards(
                          StreamName="data", ShardToMerge="shardId-000000000002",
                          AdjacentShardToMerge="shardId-000000000003")):
            split()
            told = asked.wait(lambda message: getattr(message, "kind", 0) == native.MAP_CHANGED)
            assert (told.lane, told.request, told.table.name) == (0, 0, "data"), told
            harness.eventually(lambda: asked.get_map("data").state == 1, what="Active")
            now = asked.get_map("data")
            assert now.epoch > before.epoch, (before.epoch, now.epoch)
            before = now
        numbers = [(entry.number, entry.open, entry.parent, entry.adjacent_parent) for entry in now.shards]
        none = 0xFFFFFFFF
        assert numbers == [(0, False, none, none), (1, True, none, none), (2, False, 0, none), (3, False, 0, none),
                           (4, True, 2, 3)], numbers
        while stranger.pump(0.5):
            pass
        assert not stranger.inbox, "told of a map that it has not asked for"
        assert not any(message.kind == native.MAP_CHANGED and message.table.name != "data"
                       for message in asked.inbox), asked.inbox


class Producer(threading.Thread):
    """Puts numbered records of its keys in order, exactly once, whatever becomes of the shards."""

    def __init__(self, daemon, name):
        super().__init__(daemon=True)
        self.session, self.number = Session(daemon, tls=name % 2 == 1), secrets.randbits(64) | 1
        self.keys = [b"%d-%d" % (name, n) for n in range(12)]
        self.sent, self.stopping, self.error = collections.Counter(), threading.Event(), None
        self.lanes, self.wrong_shard = {}, 0

    def run(self):
        try:
            self.refresh()
            while not self.stopping.is_set():
                rows = []
                for key in self.keys:
                    rows.append((key, b"%d" % self.sent[key]))
                    self.sent[key] += 1
                self.route(rows)
                time.sleep(0.005)
            while self.lanes:
                shard = next(iter(self.lanes))
                self.settle(shard, 0)
                self.lanes.pop(shard, None)
        except Exception as error:  # noqa: BLE001 told by the test
            self.error = error

    def refresh(self):
        self.map = self.session.get_map("data")
        self.open = {entry.number: ((entry.begin.high << 64) + entry.begin.low,
                                    (entry.end.high << 64) + entry.end.low)
                     for entry in self.map.shards if entry.open}
        for shard in [number for number in self.lanes if number not in self.open]:
            self.settle(shard, 0)  # what a closed shard refused goes to its child before anything new does

    def route(self, rows):
        groups = collections.defaultdict(list)
        for row in rows:
            groups[next(number for number, (begin, end) in self.open.items()
                        if begin <= hash_of(row[0]) <= end)].append(row)
        for shard, group in groups.items():
            if shard not in self.open:  # closed by what the group before met
                self.route(group)
                continue
            if shard not in self.lanes:
                lane, told = self.session.open_put("data", shard, self.number, 1)
                if told.kind == native.FAILED or told.table.closed:
                    harness.eventually(lambda: self.refresh() or shard not in self.open, what="a map without the shard")
                    self.route(group)
                    continue
                self.lanes[shard] = [lane, told.table.last, {}]
            self.settle(shard, secrets.choice((0, 7)))  # a refusal read at once, or with others behind it
            if shard not in self.lanes:
                self.route(group)
                continue
            state = self.lanes[shard]
            state[1] += 1
            state[2][self.session.put(state[0], group, state[1])] = (state[1], group)

    def settle(self, shard, most):
        """Waits until no more than so many batches of a shard have no result; what was refused goes elsewhere."""
        lane, _, open_ = self.lanes[shard]
        refused, told_epoch = [], 0
        while open_ and (len(open_) > most or refused):
            done = self.session.wait(lambda message: getattr(message, "request", 0) in open_)
            sequence, group = open_.pop(done.request)
            if done.kind == native.PUT_DONE:
                assert not done.table.duplicate, done
                continue
            assert failure(done) == "kWrongShard" or refused and failure(done) == "kSequenceGap", failure(done)
            self.wrong_shard += failure(done) == "kWrongShard"
            told_epoch = done.epoch if not refused else told_epoch
            refused.append((sequence, group))
        if not refused:
            return
        del self.lanes[shard]
        self.refresh()
        if shard in self.open:  # its close is on the way to the disk
            assert self.map.epoch >= told_epoch, (self.map.epoch, told_epoch)
            assert self.map.state == 2, f"shard {shard} refuses as closed, and is open in state {self.map.state}"
            harness.eventually(lambda: self.refresh() or shard not in self.open, what="a map without the shard")
        _, told = self.session.open_put("data", shard, self.number, 1, resume=True)
        assert told.kind == native.PUT_OPENED and told.table.closed, told
        assert told.table.last == refused[0][0] - 1, (told.table, refused)
        for _, group in refused:
            self.route(group)


class Follower(threading.Thread):
    """Reads the stream from its first record to its last, from parents to children."""

    def __init__(self, daemon, roots, tls):
        super().__init__(daemon=True)
        self.session = Session(daemon, tls)
        self.lanes = {self.session.subscribe("data", root, position("Horizon"))[0]: root for root in roots}
        self.records, self.ended, self.begun, self.error = [], [], set(roots), None
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.session.pump(0.1)
                while self.session.inbox:
                    self.take(self.session.inbox.pop(0))
        except Exception as error:  # noqa: BLE001 told by the test
            self.error = error

    def take(self, message):
        if message.kind == native.DELIVERY:
            self.records += [(self.lanes[message.lane], record) for record in native.meant(message)]
        elif message.kind == native.SHARD_END:
            shard = self.lanes.pop(message.lane)
            assert shard not in self.ended, f"{shard} ended twice"
            self.ended.append(shard)
            read = [record.index for number, record in self.records if number == shard]
            assert read == list(range(message.table.next)), (shard, message.table.next, len(read))
            for child in message.table.children:
                parents = {child.parent, child.adjacent_parent} - {0xFFFFFFFF}
                assert shard in parents, (shard, child)
                if parents <= set(self.ended) and child.number not in self.begun:
                    self.begun.add(child.number)
                    lane = self.session.subscribe("data", child.number, position("Horizon"), wait=False)
                    self.lanes[lane] = child.number
        else:
            assert message.kind == native.SUBSCRIBED, message


def test_resharding():
    with harness.daemon("native") as daemon, Session(daemon) as actor:
        actor.create("data", 2)
        producers = [Producer(daemon, name) for name in range(3)]
        followers = [Follower(daemon, (0, 1), tls) for tls in (False, True)]
        for thread in producers + followers:
            thread.start()

        def threads_well():
            for thread in producers + followers:
                assert not thread.error, repr(thread.error)
        for _ in range(4):
            time.sleep(0.5)
            threads_well()
            shards = [entry for entry in actor.get_map("data").shards if entry.open]
            widest = max(shards, key=lambda entry: entry.end.high - entry.begin.high)
            middle = (widest.begin.high + widest.end.high) // 2
            answer = actor.admin("SplitShard", stream="data", shard=widest.number,
                                 hash=native.value("HashKey", high=middle))
            assert answer.kind == native.ADMIN_DONE, answer
            harness.eventually(lambda: actor.get_map("data").state == 1, what="Active")
            time.sleep(0.3)
            shards = sorted((entry for entry in actor.get_map("data").shards if entry.open),
                            key=lambda entry: entry.begin.high)
            answer = actor.admin("MergeShards", stream="data", shard=shards[0].number, adjacent=shards[1].number)
            assert answer.kind == native.ADMIN_DONE, answer
            harness.eventually(lambda: actor.get_map("data").state == 1, what="Active")
        time.sleep(0.5)
        for producer in producers:
            producer.stopping.set()
        for producer in producers:
            producer.join(60)
        threads_well()
        expected = {key: count for producer in producers for key, count in producer.sent.items()}
        total = sum(expected.values())
        harness.eventually(lambda: threads_well() or all(len(one.records) >= total for one in followers),
                           what="everything delivered")
        for follower in followers:
            follower.stopping.set()
            follower.join(20)
            per_key = collections.defaultdict(list)
            for _, record in follower.records:
                per_key[record.key].append(int(record.data))
            for key, count in expected.items():
                assert per_key[key] == list(range(count)), (key, count, per_key[key][:20])
            closed = {entry.number for entry in actor.get_map("data").shards if not entry.open}
            assert set(follower.ended) == closed, (follower.ended, closed)
        met = sum(producer.wrong_shard for producer in producers)
        print(f"# {total} records, kWrongShard {met} times, {len(closed)} shards closed")
        assert met, "no producer met a closed shard"
        for shard in closed:  # a get tells the end, too
            found, end = actor.read("data", shard)
            assert end.end and len(end.children) in (1, 2), end
            _, told = actor.open_put("data", shard, producers[0].number, 1)
            assert told.table.closed, told


harness.run(globals())
