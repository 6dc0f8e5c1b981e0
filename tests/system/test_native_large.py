"""The largest records: 1 MiB and 10 MiB, put by the C++ library over TCP and TLS, and a daemon that is killed while one of
10 MiB is under way. It is there whole or not at all, and once the library has put it again, once."""
import random

import checker
import harness
import native_gate
import native_writer
from checker import ACKNOWLEDGED, REFUSED
from native_session import Session, position

STREAM = "large"
KEY = "k" + "ü" * 200 + "🐚" * 55  # 256 characters, 621 bytes
MIB = 1 << 20
BLOCKED = 64  # bytes, with TLS, that the library may send or not: it may have credit


def content(size, seed):
    """Without the end of a line, which the load program's input gives a meaning."""
    return random.Random(seed).randbytes(size).replace(b"\n", b"\r")


class Library:
    """The load program: `put` names records, `outcome` says what became of one."""

    def __init__(self, daemon, folder, tls, batch_bytes=65536, port=None):
        self.journal = checker.Journal()
        self.written = checker.JournalFile(folder / f"large-{tls}-{batch_bytes}.journal", self.journal, "p")
        endpoint = f"{'tls' if tls else 'tcp'}://localhost:{port or daemon.port + 2}"
        self.process = native_writer.start(endpoint, daemon, STREAM, self.written.path, batch_bytes)

    def put(self, identity, data, key=KEY):
        self.process.stdin.write(b"\t".join([identity.encode(), key.encode(), data]) + b"\n")
        self.process.stdin.flush()

    def outcome(self, identity):
        def ended():
            self.written.take()
            return [attempt.outcome for attempt in self.journal.attempts if attempt.record == identity and attempt.ended]
        return harness.eventually(ended, 60, f"the outcome of {identity}")[0]

    def end(self):
        _, said = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def stored(daemon, bytes_max=MIB):
    with Session(daemon) as session:
        found, _ = session.read(STREAM, 0, position("Horizon"), bytes_max)
    return [(record.key.decode(), record.data) for record in found]


def over_kinesis(daemon):
    reads, _ = checker.read_everything(daemon.boto3(), STREAM)
    return [(read.key, read.data) for read in reads]


def same(found, expected, what):
    """Without megabytes in what it says."""
    assert found == expected, f"{what}: {[len(data) for _, data in found]}, expected {[len(data) for _, data in expected]}"


def test_one_mebibyte():
    with harness.daemon("large") as daemon:
        harness.create_stream(daemon.boto3(), STREAM, 1)
        expected = []
        for tls, batch_bytes in ((False, 0), (True, 65536), (False, 4 * MIB), (True, 16 * MIB - 128)):
            with Library(daemon, daemon.directory.parent, tls, batch_bytes) as library:
                for number in range(5):
                    expected.append((KEY, content(MIB, len(expected))))
                    library.put(f"whole {number}", expected[-1][1])
                library.put("a byte too many", content(MIB + 1, 0))
                library.put("a character too many", b"data", key=KEY + "k")
                expected.append((KEY, b""))
                library.put("nothing", b"")
                library.end()
                outcomes = [library.outcome(f"whole {number}") for number in range(5)] + [library.outcome("nothing")]
                assert outcomes == [ACKNOWLEDGED] * 6, outcomes
                assert library.outcome("a byte too many") == REFUSED
                assert library.outcome("a character too many") == REFUSED
        same(stored(daemon), expected, "native reader")
        same(over_kinesis(daemon), expected, "GetRecords")


def crash_inside(tls, chosen=None):
    settings = {"limits": {"record_bytes_max": "10MiB"}}
    with harness.daemon("large", settings=settings) as daemon, native_gate.Gate(daemon.port + 2) as gate:
        harness.create_stream(daemon.boto3(), STREAM, 1)
        with Library(daemon, daemon.directory.parent, tls, port=gate.port) as library:
            expected = [(KEY, b"small"), (KEY, content(10 * MIB, 0))]
            library.put("small", expected[0][1])
            assert library.outcome("small") == ACKNOWLEDGED
            begin = gate.passed
            library.put("measured", expected[1][1])
            assert library.outcome("measured") == ACKNOWLEDGED
            size = gate.passed - begin  # on the wire, of such a record
            assert size > 10 * MIB
            same(stored(daemon), expected, "before any crash")
            # How many bytes pass, and whether the record must be there then.
            base, cases = 0, (("begun", 4096, {False}), ("a frame", 100_000, {False}), ("half", size // 2, {False}),
                              ("all but the end", size - 2 * BLOCKED, {False}), ("all", size, {False, True}),
                              ("durable", size, {True}))
            for what, until, whole in (case for case in cases if not chosen or case[0] in chosen):
                record = (KEY, content(10 * MIB, what))
                gate.limit, gate.mute = gate.passed + until, gate.passed + 2048  # a CREDIT comes through
                library.put(what, record[1])
                if what == "durable":
                    harness.eventually(lambda: len(stored(daemon)) > len(expected), what=what)
                else:
                    harness.eventually(lambda: gate.passed >= gate.limit - BLOCKED and
                                       daemon.metric("penstock_native_bytes_in_total") >= gate.passed - base, what=what)
                gate.shut = True
                daemon.kill()
                base = gate.passed
                daemon.start()
                there = len(found := stored(daemon)) > len(expected)
                same(found, expected + [record] * there, what)
                assert there in whole, f"{what}: the record is {'there' if there else 'not there'}"
                gate.limit, gate.mute, gate.shut = None, None, False
                assert library.outcome(what) == ACKNOWLEDGED
                expected.append(record)
                same(stored(daemon), expected, f"{what}, put again")
                print(f"# {what}, {'TLS' if tls else 'TCP'}: {'there' if there else 'not there'} after the crash")
            library.end()
        same(over_kinesis(daemon), expected, "GetRecords")


def test_crash_inside_ten_mebibytes():
    crash_inside(tls=False)


def test_crash_inside_ten_mebibytes_over_tls():
    crash_inside(tls=True, chosen=("half", "all but the end", "all"))


harness.run(globals())
