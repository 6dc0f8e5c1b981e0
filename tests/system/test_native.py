"""The native protocol as src/proto/PROTOCOL.md has it, against the daemon: greetings, administration, puts of every
kind, each read back over Kinesis and the other way round, and producers whose batches are stored exactly once."""
import itertools
import random
import secrets
import signal
import struct
import time

import harness
import native_session as native
from native_session import Session, batch, failure, hash_of, position, stored_batches

SPACE = 2**128
FAR = 6 * 60_000  # ms, more than a clock may be wrong
# Of a FlatBuffer that does not verify §4 says that it closes the session, §5 that it refuses the batch.
UNVERIFIED = "kProtocol"


def key_for(shard, shards, number):
    """The number-th key of a shard among so many that share the hashes evenly."""
    found = (f"device-{n}".encode() for n in range(10**6))
    chosen = (key for key in found if hash_of(key) * shards // SPACE == shard)
    for _ in range(number):
        next(chosen)
    return next(chosen)


def kinesis_records(client, stream, shard):
    token = client.get_shard_iterator(StreamName=stream, ShardId=f"shardId-{shard:012}",
                                      ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    found, empty = [], 0
    while token and empty < 2:
        answer = client.get_records(ShardIterator=token)
        found += answer["Records"]
        empty = 0 if answer["Records"] else empty + 1
        token = answer.get("NextShardIterator")
    return found


def same_over_kinesis(client, found_map, stream, shard, native_records):
    """Asserts that GetRecords and a native reader tell the same of a shard."""
    second = next(entry.created_second for entry in found_map.shards if entry.number == shard)
    theirs = [(row["SequenceNumber"], row["PartitionKey"].encode(), row["Data"],
               round(row["ApproximateArrivalTimestamp"].timestamp() * 1000))
              for row in kinesis_records(client, stream, shard)]
    ours = [(native.sequence_number(second, shard, record.index, record.arrival), record.key, record.data,
             record.arrival) for record in native_records]
    assert theirs == ours, next((pair for pair in zip(theirs, ours) if pair[0] != pair[1]),
                                f"{len(theirs)} records over Kinesis, {len(ours)} of ours")


def closing(daemon, act, tls=False, hello=False, seconds=10):
    """The name of the code that the server closes with after `act(session)`; None where it says nothing."""
    with Session(daemon, tls, hello=hello) as session:
        act(session)
        return session.until_closed(seconds)[0]


def test_hello():
    with harness.daemon("native") as daemon:
        for tls in (False, True):
            for shift in (0, -4 * 60_000, 4 * 60_000):
                with Session(daemon, tls, shift_ms=shift) as session:
                    told = session.welcome
                    assert (told.version, told.message_max, told.lanes_max) == (1, 16 << 20, 8192), told
                    assert (told.credit, told.idle_ms) == (65536, 60_000), told
                    assert abs(told.server_time_ms - time.time() * 1000) < 60_000 and told.server, told
                    session.frame(native.PING, c=0x0123456789ABCDEF)
                    pong = session.wait(lambda frame: isinstance(frame, native.Frame))
                    assert pong == (native.PONG, 0, 0, 0, 0x0123456789ABCDEF, b""), pong
            for wrong in ({"proof": bytes(32)}, {"proof": b""}, {"proof": bytes(31)}, {"secret": "another"},
                          {"access_key": "AKIDUNKNOWN"}, {"shift_ms": -FAR}, {"shift_ms": FAR},
                          {"channel": b"\1" * 32}) + (({"channel": bytes(32)},) if tls else ()):
                code = closing(daemon, lambda session: session.hello(**wrong), tls)
                assert code == "kDenied", (tls, wrong, code)
        for size in (16, 64):
            Session(daemon, nonce=secrets.token_bytes(size)).close()
        for size in (0, 15, 65):
            code = closing(daemon, lambda session: session.hello(nonce=secrets.token_bytes(size)))
            assert code in ("kDenied", "kProtocol"), (size, code)
        assert closing(daemon, lambda session: session.hello(versions=(2, 3))) == "kVersion"
        Session(daemon, versions=(1, 7)).close()


def test_greeting_out_of_order():
    with harness.daemon("native") as daemon:
        name = native.table("StreamName", name="s")
        assert closing(daemon, lambda session: session.send(0, native.GET_MAP, name)) == "kProtocol"
        put = native.table("OpenPut", stream="s")
        assert closing(daemon, lambda session: session.pieces(1, native.MESSAGE.pack(
            native.OPEN_PUT, 0, len(put), 1, 0, 0, 0) + put)) == "kProtocol"
        assert closing(daemon, lambda session: session.hello(), hello=True) == "kProtocol"
        assert closing(daemon, lambda session: session.hello(), tls=True, hello=True) == "kProtocol"

        def greet(preface):
            carrier = native.Carrier(daemon.port + 2)
            carrier.send(preface)
            carrier.end()
            end = time.monotonic() + 10
            while not carrier.ended and time.monotonic() < end:
                carrier.receive(end - time.monotonic())
            assert carrier.ended, preface
            return bytes(carrier.incoming)
        for first in (b"PWP/2\r\n\0", b"PWP/1\n\n\0", b"PUT / HT", b"GET / HT"):
            assert greet(first + bytes(8)) == b"", first
        for largest in (0, 8, 16383, 16388):  # too small, or not a multiple of 8
            answer = greet(native.PREFACE + struct.pack("<II", 0, largest))
            assert not answer or native.FRAME.unpack_from(answer, 16)[4] == native.CODES.index("kProtocol"), (
                largest, answer.hex())
        with Session(daemon, hello=False, preface=False) as session:  # unknown features; byte by byte
            for byte in native.PREFACE + struct.pack("<II", 0xFFFFFFFF, 1 << 20):
                session.carrier.send(bytes([byte]))
            assert session.answer(session.hello()).kind == native.WELCOME


def test_tls_is_strict():
    from OpenSSL import SSL
    with harness.daemon("native") as daemon:
        for alpn in ((b"http/1.1",), ()):
            try:
                carrier = native.Carrier(daemon.port + 2, daemon.ca, alpn)
            except (SSL.Error, AssertionError, ConnectionError):
                continue
            raise AssertionError(f"{alpn} was accepted: {carrier.channel.hex()}")


def test_administration():
    with harness.daemon("native") as daemon, Session(daemon) as session:
        client = daemon.boto3()
        for name in ("a", "c", "b"):
            made = session.create(name, 3)
            assert made.name == name and made.record_bytes_max == 1 << 20 and made.retention_hours == 24, made
            assert [(entry.number, entry.open) for entry in made.shards] == [(0, True), (1, True), (2, True)]
        described = client.list_shards(StreamName="a")["Shards"]
        ours = session.get_map("a").shards
        assert [(int(row["HashKeyRange"]["StartingHashKey"]), int(row["HashKeyRange"]["EndingHashKey"]))
                for row in described] == [(entry.begin.high << 64 | entry.begin.low,
                                           entry.end.high << 64 | entry.end.low) for entry in ours]
        taken = session.admin("CreateStream", stream="a", shard_count=1)
        assert taken.table.kinesis == "ResourceInUseException", taken
        for answer in (session.admin("DeleteStream", stream="none"), session.get_map("none")):
            assert answer.kind == native.FAILED and failure(answer) == "kNotFound", answer
        listed = session.admin("ListStreams")
        assert listed.table.streams == ["a", "b", "c"] and not listed.table.more, listed
        assert session.admin("ListStreams", after="a").table.streams == ["b", "c"]
        assert session.admin("IncreaseRetention", stream="a", hours=48).kind == native.ADMIN_DONE
        assert client.describe_stream_summary(StreamName="a")["StreamDescriptionSummary"][
            "RetentionPeriodHours"] == 48
        assert session.admin("DecreaseRetention", stream="a", hours=24).kind == native.ADMIN_DONE
        assert harness.eventually(lambda: session.get_map("a").retention_hours == 24)
        assert session.admin("DeleteStream", stream="b").kind == native.ADMIN_DONE
        harness.eventually(lambda: getattr(session.get_map("b"), "kind", 0) == native.FAILED, what="b is gone")
        unknown = session.answer(session.send(0, 77))
        assert failure(unknown) == "kUnsupported", unknown
        assert failure(session.answer(session.send(next(session.lanes), 77))) == "kUnsupported"


def test_puts_are_kinesis_records():
    with harness.daemon("native") as daemon, Session(daemon) as session, Session(daemon, tls=True) as secure:
        made, client = session.create("data", 2), daemon.boto3(tls=True)
        expected = {0: [], 1: []}
        sent = {0: [], 1: []}
        for user in (session, secure):
            for shard in (0, 1):
                lane = user.opened("data", shard)
                for number in range(5):
                    records = [(key_for(shard, 2, n), secrets.token_bytes(n * 37 % 3000)) for n in range(50 + number)]
                    records.append((b"explicit", b"", shard * SPACE // 2 + number))
                    records.append(("ключ-🐚".encode() * 30, b"unicode", shard * SPACE // 2 + SPACE // 2 - 1))
                    done = user.put_wait(lane, records)
                    assert done.kind == native.PUT_DONE and not done.table.duplicate, done
                    assert done.table.first_index == len(expected[shard]), done
                    expected[shard] += [(done.table.arrival_ms, key, data) for key, data, *_ in records]
                    sent[shard].append(batch(records))
            lane = user.opened("data")
            for number in range(5):
                records = [(f"mixed-{n}".encode(), secrets.token_bytes(n)) for n in range(200)]
                done = user.put_wait(lane, records)
                assert done.kind == native.PUT_DONE and len(done.table.records) == 200, done
                for (key, data), result in zip(records, done.table.records):
                    assert (result.code, result.shard) == (0, hash_of(key) * 2 // SPACE), (key, result)
                    assert result.index == len(expected[result.shard]), (key, result)
                    expected[result.shard].append((result.arrival_ms, key, data))
        for shard in (0, 1):
            found, _ = session.read("data", shard)
            assert [(record.arrival, record.key, record.data) for record in found] == expected[shard]
            same_over_kinesis(client, made, "data", shard, found)
            got = secure.get(next(secure.lanes), "data", shard, position("Horizon"), 1 << 20)
            stored = [held.flatbuffer for held in stored_batches(got.attachment)][:5]
            assert stored == [native.padded(one) for one in sent[shard][:5]], "a batch is not stored as it was sent"

        # And the other way round.
        client.put_records(StreamName="data", Records=[
            {"PartitionKey": f"boto-{n}", "Data": secrets.token_bytes(n)} for n in range(400)])
        client.put_record(StreamName="data", PartitionKey="last", Data=b"one", ExplicitHashKey="0")
        for shard in (0, 1):
            found, _ = secure.read("data", shard)
            assert len(found) > len(expected[shard])
            same_over_kinesis(client, made, "data", shard, found)
            lane, _ = secure.subscribe("data", shard, position("Horizon"))
            delivered, _ = secure.delivered(lane, len(found))
            assert delivered == found


def test_refused_batches():
    with harness.daemon("native") as daemon, Session(daemon) as session:
        session.create("data", 2)
        key, other = key_for(0, 2, 0), key_for(1, 2, 0)
        good, right = [(key, b"data")] * 3, batch([(key, b"data")] * 3)
        hashed = hash_of(key)
        row = lambda at, **new: {"at": at, "key": len(key), "data": 4, "flags": 0, "high": hashed >> 64,  # noqa: E731
                                 "low": hashed & 2**64 - 1, **new}

        def entries(*rows):
            return batch(good, [(r["at"], r["at"] + r["key"], r["data"], r["key"], r["flags"], r["high"], r["low"])
                                for r in rows])
        step = len(key) + 4
        assert entries(row(0), row(step), row(2 * step)) == right
        wrong = {
            "a hash that is not the key's": (entries(row(0), row(step, low=0), row(2 * step)), "kMalformed", 1),
            "an unknown flag": (entries(row(0), row(step), row(2 * step, flags=2)), "kMalformed", 2),
            "an unknown flag beside bit 0": (entries(row(0, flags=0x8001), row(step), row(2 * step)), "kMalformed", 0),
            "a gap": (entries(row(0), row(step + 1, data=3), row(2 * step)), "kMalformed", None),
            "an overlap": (entries(row(0), row(step - 1, data=5), row(2 * step)), "kMalformed", None),
            "not from 0": (entries(row(1, data=3), row(step), row(2 * step)), "kMalformed", None),
            "beyond the end": (entries(row(0), row(step), row(2 * step, data=5)), "kMalformed", None),
            "short of the end": (entries(row(0), row(step)), "kMalformed", None),
            "far out": (entries(row(0), row(step), row(2 * step, data=0xFFFFFFFF)), "kMalformed", None),
            "no key": (batch([(key, b"a"), (b"", b"data", 0)]), "kMalformed", 1),
            "a key of 257 characters": (batch([(b"k" * 257, b"", 0)]), None, 0),
            "a key that is no UTF-8": (batch([(b"\xff\xfe", b"", 0)]), "kMalformed", 0),
            "no records": (batch([]), "kMalformed", None),
            "10,001 records": (batch([(key, b"")] * 10_001), None, None),
            "data above the stream's limit": (batch([(key, b""), (key, bytes((1 << 20) + 1))]), "kTooLarge", 1),
            "much beside the records": (right + bytes(2048), None, None),
            "cut": (right[:-8], UNVERIFIED, None),
            "nothing": (b"", UNVERIFIED, None),
            "noise": (secrets.token_bytes(200), UNVERIFIED, None),
            "zeros": (bytes(64), UNVERIFIED, None),
            "a root far out": (b"\xff\xff\xff\x7f" + right[4:], UNVERIFIED, None),
        }
        differences = []
        for producer in (0, 7):
            lane, sequence = session.opened("data", 0, producer, 1 if producer else 0), 1
            for name, (bytes_, error, record) in {**wrong, "another shard": (
                    batch([(key, b""), (other, b"")]), "kWrongShard", None)}.items():
                try:
                    answer = session.put_wait(lane, bytes_, sequence)
                except native.Closed as closed:
                    if closed.code != error:
                        differences.append(f"{name}: {error} is due, and the lane goes on: {closed}; "
                                           f"the batch: {bytes_[:160].hex()}")
                    session = Session(daemon)
                    lane, told = session.open_put("data", 0, producer, 1 if producer else 0)
                    sequence = told.table.last + 1
                    continue
                allowed = ("kMalformed",) if error == UNVERIFIED else (error,) if error else ("kTooLarge", "kMalformed")
                if answer.kind != native.FAILED or failure(answer) not in allowed or (
                        record is not None and answer.table.record != record):
                    differences.append(f"{name}: {allowed} of record {record} is due: {answer.table}; "
                                       f"the batch: {bytes_[:160].hex()}")
                sequence += answer.kind == native.PUT_DONE
                done = session.put_wait(lane, good, sequence)
                assert done.kind == native.PUT_DONE, (name, done)
                sequence += 1
        mixed = session.opened("data")
        for name, (bytes_, error, record) in wrong.items():
            try:
                answer = session.put_wait(mixed, bytes_)
            except native.Closed as closed:
                if closed.code != error:
                    differences.append(f"{name}, to a lane for any shard: {closed}; the batch: {bytes_[:160].hex()}")
                session = Session(daemon)
                mixed = session.opened("data")
                continue
            if answer.kind == native.PUT_DONE:  # results of each record: none of these is stored
                assert all(result.code for result in answer.table.records), (name, answer)
            assert session.put_wait(mixed, [(key, b"data"), (other, b"data")]).kind == native.PUT_DONE, name
        for shard in (0, 1):
            found, _ = session.read("data", shard)
            assert {(record.key, record.data) for record in found} <= {(key, b"data"), (other, b"data")}
        for answer in (session.open_put("none")[1], session.open_put("data", 9)[1]):
            assert answer.kind == native.FAILED, answer
        assert session.open_put("data", native.ANY_SHARD, 5, 1)[1].kind == native.FAILED  # has no producer
        assert not differences, "\n".join(differences)


def test_largest_records():
    with harness.daemon("native") as daemon, Session(daemon) as session:
        made = session.create("large", 1)
        records = [(b"%03d" % n + "ü".encode() * 253, secrets.token_bytes(1 << 20)) for n in range(15)]
        lane, mixed = session.opened("large", 0), session.opened("large")
        assert session.put_wait(lane, records[:1]).table.first_index == 0
        assert session.put_wait(lane, records[1:]).table.first_index == 1
        assert [row.index for row in session.put_wait(mixed, records[:9]).table.records] == list(range(15, 24))
        many = [(f"{n}".encode(), b"x" * (n % 3)) for n in range(10_000)]
        assert session.put_wait(lane, many).table.first_index == 24
        found, _ = session.read("large", 0, bytes_max=1 << 20)
        assert [(record.key, record.data) for record in found] == records + records[:9] + many
        same_over_kinesis(daemon.boto3(), made, "large", 0, found)
        subscribed, _ = session.subscribe("large", 0, position("Horizon"), window=20 << 20)
        assert session.delivered(subscribed, len(found))[0] == found


def test_exactly_once():
    with harness.daemon("native") as daemon, Session(daemon) as session, Session(daemon, tls=True) as rival:
        session.create("data", 2)
        keys, producer = [key_for(0, 2, 0), key_for(1, 2, 0)], secrets.randbits(64) | 1
        unknown = session.open_put("data", 0, producer, 1, resume=True)[1]
        assert failure(unknown) == "kProducerUnknown", unknown
        lane, opened = session.open_put("data", 0, producer, 1)
        assert opened.kind == native.PUT_OPENED, opened
        assert (opened.table.last, opened.table.window or [], opened.table.closed) == (0, [], False), opened
        answers = {}

        def put(sequence, where=lane, user=session, shard=0, text=None):
            return user.put_wait(where, [(keys[shard], text or b"%d-%d" % (sequence, n)) for n in range(4)], sequence)
        assert failure(put(2)) == "kSequenceGap"
        for sequence in range(1, 13):
            answers[sequence] = put(sequence).table
            assert answers[sequence].first_index == 4 * (sequence - 1) and not answers[sequence].duplicate
            assert failure(put(sequence + 2)) == "kSequenceGap"
        for sequence in range(5, 13):
            again = put(sequence, text=b"other bytes").table
            assert again.duplicate and (again.first_index, again.arrival_ms) == (
                answers[sequence].first_index, answers[sequence].arrival_ms), again
        for sequence in range(1, 5):
            assert failure(put(sequence)) == "kSequenceOld", sequence
        assert session.open_put("data", 1, producer, 1)[1].table.last == 0  # a sequence for each shard
        again, told = rival.open_put("data", 0, producer, 1, resume=True)  # the same life on another connection
        assert told.table.last == 12 and [(one.first_index, one.arrival_ms) for one in told.table.window] == [
            (answers[sequence].first_index, answers[sequence].arrival_ms) for sequence in range(5, 13)], told
        assert put(13, again, rival).table.first_index == 48

        newer, told = rival.open_put("data", 0, producer, 2)
        assert told.kind == native.PUT_OPENED and told.table.last == 0, told
        assert not told.table.window, told
        try:
            assert failure(put(14)) == "kProducerFenced"
        except native.LaneReset as reset:
            assert reset.code == "kReplaced", reset
        assert failure(session.open_put("data", 0, producer, 1)[1]) == "kProducerFenced"
        assert put(1, newer, rival, text=b"new life").table.first_index == 52
        daemon.kill()
        daemon.start()
        with Session(daemon) as later:
            assert failure(later.open_put("data", 0, producer, 1)[1]) == "kProducerFenced"
            lane, told = later.open_put("data", 0, producer, 2, resume=True)
            assert told.table.last == 1 and told.table.window[0].first_index == 52, told
            assert put(1, lane, later).table.duplicate
            assert put(2, lane, later).table.first_index == 56
            found, _ = later.read("data", 0)
            assert [record.data for record in found] == [
                b"%d-%d" % (sequence, n) for sequence in range(1, 14) for n in range(4)] + [
                b"new life"] * 4 + [b"2-%d" % n for n in range(4)]


def test_exactly_once_over_kills():
    """Eight batches under way when the daemon is killed; the next life learns what is stored, and sends all again."""
    chance, producer, text = random.Random(5), secrets.randbits(64) | 1, b"x" * 500
    with harness.daemon("native") as daemon:
        with Session(daemon) as session:
            session.create("data", 1)
        batches, known, doubtful = {}, {}, {}  # by sequence; the last: sequences by request
        kills = harness.count("PENSTOCK_KILLS", 6)
        lost = 0
        for life in range(kills + 1):
            session = Session(daemon, tls=life % 2 == 1)
            lane, told = session.open_put("data", 0, producer, 1, resume=bool(batches))
            assert told.kind == native.PUT_OPENED, told
            last, window = told.table.last, told.table.window or []
            assert max(known, default=0) <= last <= len(batches), (last, len(batches))
            held = dict(zip(range(last - len(window) + 1, last + 1), window))
            for number in sorted(doubtful.values()):
                done = session.put_wait(lane, batches[number], number)
                assert done.kind == native.PUT_DONE and done.table.duplicate == (number <= last), (last, done)
                assert number not in held or held[number].first_index == done.table.first_index, (held, done)
                known[number] = done.table.first_index
                lost += number > last
            doubtful.clear()
            if life == kills:
                break
            enough = len(known) + chance.randrange(60, 200)
            while len(known) < enough or len(doubtful) < 8:
                if len(doubtful) < 8:
                    number = len(batches) + 1
                    batches[number] = [(b"key", b"%d-%d" % (number, n) + text) for n in range(20)]
                    doubtful[session.put(lane, batches[number], number)] = number
                else:
                    done = session.wait(lambda message: getattr(message, "request", 0) in doubtful)
                    assert done.kind == native.PUT_DONE and not done.table.duplicate, done
                    known[doubtful.pop(done.request)] = done.table.first_index
            daemon.kill()
            try:  # what it had said before it died is known, too
                while session.pump(5):
                    pass
            except (native.Closed, AssertionError):  # perhaps in the middle of a frame
                pass
            for message in session.inbox:
                if getattr(message, "request", 0) in doubtful and message.kind == native.PUT_DONE:
                    known[doubtful.pop(message.request)] = message.table.first_index
            session.close()
            daemon.start()
        found, _ = session.read("data", 0)
        session.close()
        assert [record.data for record in found] == [
            data for number in sorted(batches) for _, data in batches[number]]
        assert sorted(known) == sorted(batches)
        assert all(found[index].data == batches[number][0][1] for number, index in known.items())
        print(f"# {kills} kills, {len(batches)} batches, of which {lost} were not stored when first sent")


def test_stop():
    with harness.daemon("native") as daemon:
        sessions = [Session(daemon, tls) for tls in (False, True, False)]
        sessions[0].create("data", 1)
        idle = sessions.pop()
        lanes = [session.opened("data", 0) for session in sessions]
        sent, acknowledged, stopping = [{}, {}], [], None
        numbers = itertools.count()
        try:
            while stopping is None or time.monotonic() < stopping + 30:
                if stopping is None and len(acknowledged) > 200:
                    daemon.process.send_signal(signal.SIGTERM)
                    stopping = time.monotonic()
                for session, lane, open_ in zip(sessions, lanes, sent):
                    while len(open_) < 16:
                        number = next(numbers)
                        open_[session.put(lane, [(b"k", b"%d" % number)])] = b"%d" % number
                    done = session.wait(lambda message: getattr(message, "request", 0) in open_)
                    if done.kind == native.PUT_DONE:
                        acknowledged.append((done.table.first_index, open_.pop(done.request)))
                    else:
                        assert failure(done) == "kStopping", done
                        open_.pop(done.request)
            raise AssertionError("the daemon goes on after SIGTERM")
        except native.Closed:
            assert stopping is not None, "closed without a reason"
        for session in [*sessions, idle]:
            assert session.until_closed(30)[0] == "kStopping", session.closed
        for session, open_ in zip(sessions, sent):
            acknowledged += [(message.table.first_index, open_[message.request]) for message in session.inbox
                             if getattr(message, "request", 0) in open_ and message.kind == native.PUT_DONE]
            session.close()
        status = daemon.process.wait(30)
        assert status == 0, status
        daemon.start()
        with Session(daemon) as session:
            found, _ = session.read("data", 0)
        held = {record.index: record.data for record in found}
        assert all(held[index] == data for index, data in acknowledged)
        assert len(set(held.values())) == len(held), "a record is there twice"


harness.run(globals())
