"""A client of a later version of the protocol against today's daemon and library: its tables have something added to every
one of today's. What is known of them counts, and what has a value or a kind that is not known is refused by name."""
import collections
import os
import secrets
import subprocess
import sys
import time

import harness
import native_session as native
import native_tables
from native_session import Session, failure, hash_of, position, stored_batches, table

STREAM, LIBRARY = "later", harness.BUILD / "docs" / "examples"
todays_value = native_tables.value


def later_schema():
    """Made anew, of what penstock.fbs is now."""
    made = harness.WORK / "flatbuffers" / "later.fbs"
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_text(subprocess.run(
        [sys.executable, harness.ROOT / "tests/support/newer/newer_schema.py",
         harness.ROOT / "src/proto/penstock.fbs", "penstock.proto"], check=True, capture_output=True, text=True).stdout)
    return made


def later_value(name, /, **fields):
    made = todays_value(name, **fields)
    if hasattr(made, "laterNumber"):
        deeper = todays_value("Later", number=3, text="deeper")
        made.laterNumber, made.laterText, made.later, made.laterList = 4711, "said later", deeper, [deeper] * 2
    return made


native_tables.schema, native_tables.value = later_schema, later_value


def later_batch(records, flags=0):
    entries, content = [], b""
    for key, data in records:
        hashed = hash_of(key)
        entries.append(todays_value("RecordEntry", key_offset=len(content), data_offset=len(content) + len(key),
                                    data_length=len(data), key_length=len(key), flags=flags, hash_high=hashed >> 64,
                                    hash_low=hashed & (1 << 64) - 1))
        content += key + data
    return table("Batch", records=entries, bytes=list(content))


def records_of(shard, number):
    """Whose keys are of the shard, of two."""
    return [(key, b"record %d" % n) for n in range(number) if hash_of(key := b"device-%d" % n) >> 127 == shard]


def test_a_later_client_is_served():
    with harness.daemon("later") as daemon:
        put, read = [[], []], [[], []]
        for tls in (False, True):
            with Session(daemon, tls) as session:
                if not tls:
                    session.create(STREAM, 2)
                for shard in (0, 1):
                    lane = session.opened(STREAM, shard, secrets.randbits(64) | 1, 1)
                    for sequence in (1, 2, 3):
                        records = records_of(shard, 20 + sequence)
                        flatbuffer = later_batch(records)
                        assert b"said later" in flatbuffer
                        done = session.put_wait(lane, flatbuffer, sequence)
                        assert done.kind == native.PUT_DONE and done.table.first_index == len(put[shard]), done
                        put[shard] += records
                        got = session.get(next(session.lanes), STREAM, shard,
                                          position("Index", done.table.first_index))
                        stored, = stored_batches(got.attachment)
                        assert stored.flatbuffer == flatbuffer, "not stored as it came"
                    assert session.put_wait(lane, flatbuffer, 3).table.duplicate
                    mixed = session.put_wait(session.opened(STREAM), later_batch(records_of(shard, 9)))
                    assert len(mixed.table.records) == len(records_of(shard, 9)), mixed
                    put[shard] += records_of(shard, 9)
        with Session(daemon) as session:
            for shard in (0, 1):
                found, _ = session.read(STREAM, shard)
                lane, _ = session.subscribe(STREAM, shard, position("Horizon"))
                assert session.delivered(lane, len(found))[0] == found
                read[shard] = [(record.key, record.data) for record in found]
            assert session.admin("SplitShard", stream=STREAM, shard=0, hash=todays_value(
                "HashKey", high=1 << 62, low=0)).kind == native.ADMIN_DONE
            harness.eventually(lambda: len(session.get_map(STREAM).shards) == 4, what="the children")
        assert read == put
        client, expected = daemon.boto3(), [record for shard in put for record in shard]
        shards = client.list_shards(StreamName=STREAM)["Shards"]
        found = []
        for shard in shards[:2]:
            at = client.get_shard_iterator(StreamName=STREAM, ShardId=shard["ShardId"],
                                           ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            found += [(record["PartitionKey"].encode(), record["Data"])
                      for record in client.get_records(ShardIterator=at)["Records"]]
        assert found == expected


def test_values_of_later_are_refused_by_name():
    with harness.daemon("later") as daemon, Session(daemon) as session:
        session.create(STREAM, 1)
        lane = session.opened(STREAM, 0, 7, 1)
        assert session.put_wait(lane, later_batch([(b"k", b"first")]), 1).kind == native.PUT_DONE
        assert failure(session.admin("Later", stream=STREAM)) == "kUnsupported"
        for kind in (9, 20, 99, 65535):
            for where in (0, lane, next(session.lanes)):
                assert failure(session.answer(session.send(where, kind, table("Later", number=1)))) == "kUnsupported", kind
        later = position("Later", 0)
        assert failure(session.get(next(session.lanes), STREAM, 0, later)) == "kMalformed"
        assert failure(session.subscribe(STREAM, 0, later)[1]) == "kMalformed"
        refused = session.put_wait(lane, later_batch([(b"k", b"flags")], flags=2), 2)
        assert failure(refused) == "kMalformed" and refused.table.record == 0, refused
        # And all of it goes on.
        assert session.put_wait(lane, later_batch([(b"k", b"second")]), 2).table.first_index == 1
        found, _ = session.read(STREAM, 0)
        assert [record.data for record in found] == [b"first", b"second"], found


def test_todays_library_beside_a_later_client():
    with harness.daemon("later") as daemon, Session(daemon, tls=True) as session:
        session.create(STREAM, 2)
        endpoint, options = f"tcp://localhost:{daemon.port + 2}", {"env": daemon.client_environment()}
        lines = [f"line {n}" for n in range(500)]
        subprocess.run([LIBRARY / "example_put", endpoint, STREAM], input="\n".join(lines).encode(), check=True,
                       stderr=subprocess.DEVNULL, timeout=60, **options)
        for shard in (0, 1):
            session.put_wait(session.opened(STREAM, shard), later_batch(records_of(shard, 300)))
        expected = collections.Counter(lines + [data.decode() for shard in (0, 1) for _, data in records_of(shard, 300)])
        assert collections.Counter(record.data.decode() for shard in (0, 1)
                                   for record in session.read(STREAM, shard)[0]) == expected
        tail = subprocess.Popen([LIBRARY / "example_tail", endpoint, STREAM], stdout=subprocess.PIPE, **options)
        try:
            os.set_blocking(tail.stdout.fileno(), False)
            read, end = b"", time.monotonic() + 30
            while read.count(b"\n") < 800 and time.monotonic() < end:
                read += tail.stdout.read() or b""
                time.sleep(0.01)
        finally:
            tail.kill()
            tail.wait()
        assert collections.Counter(read.decode().splitlines()) == expected


harness.run(globals())
