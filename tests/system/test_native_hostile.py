"""Strangers and the careless at the native port: thousands of sessions that break the protocol in every way, and
hundreds that begin something and stop. Each is closed with the code that is written, memory stays flat, and another
client's puts go on meanwhile."""
import random
import secrets
import threading
import time

import harness
import native_session as native
from native_session import FRAME, MESSAGE, Session, batch, failure, position, table

LANES_MAX = 8192  # of Welcome


class Putter(threading.Thread):
    """A client who does nothing wrong."""

    def __init__(self, daemon, stream, pause):
        super().__init__(daemon=True)
        self.session, self.pause, self.count, self.error = Session(daemon, tls=True), pause, 0, None
        self.lane = self.session.opened(stream, 0, secrets.randbits(64) | 1, 1)
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.is_set():
                done = self.session.put_wait(self.lane, [(b"key", b"%d" % self.count)], self.count + 1)
                assert done.kind == native.PUT_DONE and done.table.first_index == self.count, done
                self.count += 1
                time.sleep(self.pause)
        except Exception as error:  # noqa: BLE001 told by the test
            self.error = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join(30)
        self.session.close()


def message(kind, flatbuffer=b"", attachment=b"", flags=0, length=None, zero=0):
    size = len(flatbuffer) if length is None else length
    return MESSAGE.pack(kind, flags, size, 1, 0, 0, zero) + flatbuffer + attachment


def data(lane, offset, size, payload, number=0, flags=0, zero=0, length=None):
    return FRAME.pack(native.DATA, flags, zero, len(payload) if length is None else length, lane, offset,
                      size | number << 32) + native.padded(payload)


def whole(lane, content, number=0):
    return data(lane, 0, len(content), content, number, flags=1)


NAME = {native.GET_MAP: "StreamName", native.ADMIN: "Admin", native.OPEN_PUT: "OpenPut", native.SUBSCRIBE: "Subscribe",
        native.GET: "Get", native.HELLO: "Hello"}
GOES_ON = "goes on"
LANE0 = (native.GET_MAP, native.ADMIN)


def broken(chance):
    """(what, bytes behind a Hello, how it may end). Every rule here is one that the contract states."""
    map_ = message(native.GET_MAP, table("StreamName", name="s"))
    open_ = message(native.OPEN_PUT, table("OpenPut", stream="s", shard=0))
    subscribe = message(native.SUBSCRIBE, table("Subscribe", stream="s", shard=0, position=position("Horizon")))
    put = message(native.PUT, attachment=batch([(b"k", b"")]))
    noise = chance.randbytes(8 * chance.randrange(1, 40))
    kind = chance.choice([native.GET_MAP, native.ADMIN, native.OPEN_PUT, native.SUBSCRIBE, native.GET])
    lane = 0 if kind in LANE0 else 1
    bad = chance.randbytes(4 * chance.randrange(2, 30) * 2)
    protocol = ("kProtocol",)
    refused = ("kProtocol", "kUnsupported", "kConflict")  # that it is refused is written, not how
    return [
        ("type of no frame", FRAME.pack(chance.choice([0, *range(8, 128)]), 0, 0, 0, 0, 0, 0), protocol),
        ("later type", FRAME.pack(chance.randrange(128, 256), 0, 0, len(noise), 1, 2, 3) + noise, (GOES_ON,)),
        ("frame above the limit", data(1, 0, 1 << 20, b"", length=chance.choice([65544, 1 << 20, 2**32 - 8])),
         ("kTooLarge", "kProtocol")),  # it may break other rules, too
        ("no zero in the header", data(0, 0, len(map_), map_, flags=1, zero=1), protocol),
        ("unknown flags of DATA", data(0, 0, len(map_), map_, flags=0x81), protocol),
        ("empty piece", data(1, 0, 64, b""), protocol),
        ("piece of no multiple of 8", data(1, 0, 64, open_[:12]), protocol),
        ("piece that does not touch", data(1, 8, len(open_), open_[8:], flags=1), protocol),
        ("hole between pieces", data(1, 0, len(open_), open_[:8]) + data(1, 16, len(open_), open_[16:], flags=1),
         protocol),
        ("size that changes", data(1, 0, len(open_), open_[:32]) + data(1, 32, len(open_) + 8, open_[32:], flags=1),
         protocol),
        ("ends early", data(1, 0, len(open_), open_[:32], flags=1), protocol),
        ("ends late", data(1, 0, 32, open_, flags=1), protocol),
        ("whole without LAST", data(1, 0, len(open_), open_), protocol),
        ("wrong number in the lane", whole(1, open_, chance.choice([1, 2**31])), protocol),
        # As if a RESET had crossed them: the server need not remember every lane that it has ended.
        ("lanes descend", whole(5, open_) + whole(3, open_), protocol + (GOES_ON,)),
        ("a lane used twice", whole(5, subscribe) + FRAME.pack(native.RESET, 0, 0, 0, 5, 0, 0) + whole(5, open_),
         protocol + (GOES_ON,)),
        ("above message_max", data(1, 0, (16 << 20) + 8, noise), ("kTooLarge",)),
        ("beyond the credit", data(1, 0, 65544, noise), ("kCredit",)),
        ("far beyond the credit", data(1, 0, 16 << 20, noise), ("kCredit",)),
        ("much for lane 0", data(0, 0, 65544, noise, number=1), ("kProtocol", "kTooLarge")),
        ("no whole header", whole(1, open_[:chance.randrange(1, 32)]), protocol),
        ("table behind the end", whole(1, message(native.OPEN_PUT, open_[32:], length=len(open_))), protocol),
        ("table of no multiple of 8", whole(1, message(native.OPEN_PUT, open_[32:], length=len(open_) - 36)), protocol),
        ("noise for a table", whole(lane, message(kind, bad), number=int(lane == 0)), protocol),
        ("no table", whole(lane, message(kind), number=int(lane == 0)), protocol),
        ("root far out", whole(lane, message(kind, b"\xf0\xff\xff\x7f" + bytes(20)), number=int(lane == 0)), protocol),
        ("a put before OpenPut", whole(1, put), refused),
        ("a put to a subscription", whole(1, subscribe) + FRAME.pack(native.CREDIT, 0, 0, 0, 1, 0, 65536)
         + whole(1, put, 1), refused),
        ("two openings", whole(1, open_) + whole(1, subscribe, 1), refused),
        ("OpenPut on lane 0", whole(0, open_, 1), refused),
        ("GetMap on lane 1", whole(1, map_), refused),
        ("RESET of an unknown lane", FRAME.pack(native.RESET, 0, 0, 0, 900, 6, 0), (GOES_ON,)),
        ("a kind of later", whole(0, message(chance.randrange(100, 65536), noise), 1), ("kUnsupported",)),
        ("flipped", None, None),
        ("noise", noise, None),
        ("cut", whole(1, open_)[:chance.randrange(1, 24 + len(open_))], None),
        ("half a session", None, None),
    ]


def flipped(chance, content):
    changed = bytearray(content)
    for _ in range(chance.randrange(1, 4)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def end_of(session, content, expected):
    """How a session ends after these bytes: a close code, the name of a Failed, 'goes on', or None."""
    try:
        session.sent.update(dict.fromkeys(range(1, 10), 1))  # what content may open
        session.carrier.send(content)
        if expected is None:
            session.carrier.end()
            return session.until_closed(30)[0]
        session.frame(native.PING, c=77)
        session.wait(lambda any_: isinstance(any_, native.Frame), 30)
        end = time.monotonic() + (0 if GOES_ON in expected else 3)
        while True:
            failed = [any_ for any_ in session.inbox if any_.kind == native.FAILED]
            if failed:
                return failure(failed[0])
            if not session.pump(end - time.monotonic()):
                return GOES_ON
    except native.Closed as closed:
        return closed.code


def test_broken_sessions():
    with harness.daemon("native") as daemon:
        chance, seen, wrong = random.Random(harness.count("PENSTOCK_SEED", 3)), {}, {}
        with Session(daemon) as session:
            session.create("s", 1)
        with Putter(daemon, "s", 0.05) as putter:  # seldom: each of its blocks stays in memory for a while
            rounds, resident, count = harness.count("PENSTOCK_BROKEN", 4000), 0, len(broken(chance))
            for number in range(rounds):
                if number == rounds // 4:
                    resident = daemon.resident_bytes()
                what, content, expected = broken(chance)[number % count]
                if what == "half a session" or chance.random() < 0.02:  # strangers: no Hello, perhaps no preface
                    carrier = native.Carrier(daemon.port + 2)
                    begun = native.PREFACE + bytes.fromhex("0000000000000100")
                    carrier.send(begun[:chance.choice([0, 5, 16])] + chance.randbytes(chance.randrange(0, 300)))
                    carrier.close()
                    continue
                if what == "flipped":
                    content = flipped(chance, chance.choice([row[1] for row in broken(chance) if row[1]]))
                with Session(daemon) as session:
                    if content[:1] == b"\1" and int.from_bytes(content[8:12], "little") == 0:
                        content = content[:20] + (1).to_bytes(4, "little") + content[24:]
                    ended = end_of(session, content, expected)
                seen.setdefault(what, set()).add(ended)
                if expected and ended not in expected:
                    wrong.setdefault(what, (ended, expected, content[:96].hex()))
            grown = daemon.resident_bytes() - resident
            before = putter.count
            harness.eventually(lambda: putter.error or putter.count > before + 10, what="the other client's puts")
            assert not putter.error, repr(putter.error)
            print(f"# {seen}\n# {rounds} sessions, {putter.count} puts beside them; resident {resident >> 20} MiB,"
                  f" grown by {grown >> 10} KiB")
        assert not wrong, "\n".join(f"{what}: {told}" for what, told in wrong.items())
        assert grown < 6 << 20, grown
        with Session(daemon) as session:
            found, _ = session.read("s", 0)
            assert [record.data for record in found if record.key == b"key"] == [
                b"%d" % n for n in range(putter.count)]


def test_limits_of_a_session():
    with harness.daemon("native") as daemon, Session(daemon) as session:
        session.create("s", 1)
        for lane in range(1, LANES_MAX + 1):
            session.send(lane, native.OPEN_PUT, table("OpenPut", stream="s", shard=0))
        for _ in range(LANES_MAX):
            opened = session.wait(lambda any_: getattr(any_, "lane", 0) > 0)
            assert opened.kind == native.PUT_OPENED, opened
        session.frame(native.RESET, 7)
        last = session.send(LANES_MAX + 1, native.OPEN_PUT, table("OpenPut", stream="s", shard=0))  # in the place of lane 7
        assert session.answer(last).kind == native.PUT_OPENED
        session.send(LANES_MAX + 2, native.OPEN_PUT, table("OpenPut", stream="s", shard=0))
        assert session.until_closed()[0] == "kTooLarge", session.closed


def test_too_many_sessions():
    with harness.daemon("native") as daemon:
        sessions = []
        with Session(daemon) as session:
            session.create("s", 1)
        with Putter(daemon, "s", 0.01) as putter:
            try:
                for _ in range(2000):
                    sessions.append(Session(daemon))
                raise AssertionError("2,000 sessions and no end")
            except native.Closed as closed:
                code = closed.code
            sessions.pop().close()
            harness.eventually(lambda: greeted(daemon), what="room for a session")
            for session in sessions:
                session.close()
        assert putter.count > 0 and not putter.error, putter.error
        assert code == "kOverloaded", f"session {len(sessions) + 3} was closed with {code}"
        refused = daemon.metric("penstock_native_sessions_refused_total")
        assert refused >= 1, f"{refused} sessions are counted as refused"


def greeted(daemon):
    try:
        Session(daemon).close()
        return True
    except native.Closed:
        return False


def test_patience():
    """What begins and stops: closed in its time, and others are served meanwhile."""
    with harness.daemon("native") as daemon:
        with Session(daemon) as session:
            session.create("s", 1)
            session.create("slow", 1)
            lane = session.opened("slow", 0)
            session.put_wait(lane, [(b"k", b"x")])
        slow = Session(daemon)
        slow_lane = slow.subscribe("slow", 0, position("Horizon"), window=None, wait=False)
        slow_begin = time.monotonic()
        with Putter(daemon, "s", 0.002) as putter:
            # Half a greeting, 200 times: closed 10 s after the preface.
            begin = time.monotonic()
            half = [Session(daemon, hello=False) for _ in range(200)]
            for session in half:
                code, _ = session.until_closed(40)
                assert code == "kIdle" and session.arrival_of_close - begin > 9, code
                session.close()
            print(f"# half a greeting: {time.monotonic() - begin:.1f} s, {putter.count} puts")

            # Half a message, 100 times. Few have credit for 10 MiB at once; the others wait for it, as they may.
            before = putter.count
            stalled = [Session(daemon) for _ in range(100)]
            begun = {}
            for session in stalled:
                session.frame(native.BLOCKED, native.SESSION, c=10 << 20)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                for session in stalled:
                    session.pump(0)
                    if session.granted >= 10 << 20 and session not in begun:
                        session.carrier.send(data(1, 0, 10 << 20, bytes(65536)))
                        session.sent[1] = 1
                        begun[session] = time.monotonic()
                time.sleep(0.02)
            assert begun, "no session was granted 10 MiB"
            small = [session for session in stalled if session not in begun]
            for session in small:  # what everybody may begin at once
                session.carrier.send(data(1, 0, 32768, bytes(8192)))
                session.sent[1] = 1
                begun[session] = time.monotonic()
            for session, since in begun.items():
                code, _ = session.until_closed(40)
                assert code == "kStalled", code
                assert session.arrival_of_close - since > 9, session.arrival_of_close - since
                session.close()
            print(f"# half a message: {len(stalled) - len(small)} of 10 MiB, {len(small)} small ones,"
                  f" {putter.count - before} puts")

            # A subscriber who has records waiting and grants nothing.
            while not slow.resets and time.monotonic() < slow_begin + 60:
                slow.pump(1)
            assert slow.resets[slow_lane][0] == "kSlow", slow.resets
            assert time.monotonic() - slow_begin > 25
            assert slow.lane_taken.get(slow_lane, 0) == 0, slow.lane_taken
            again, _ = slow.subscribe("slow", 0, position("Horizon"))  # the session itself goes on
            assert slow.delivered(again)[0][0].data == b"x"
            before = putter.count
            harness.eventually(lambda: putter.error or putter.count > before + 10, what="the other client's puts")
            assert not putter.error and putter.count > 1000, (putter.error, putter.count)
        with Session(daemon) as session:  # the memory that the stalled held is there again
            lane = session.opened("s", 0)
            assert session.put_wait(lane, [(b"large", bytes(1 << 20))] * 12).kind == native.PUT_DONE


harness.run(globals())
