"""A client of the native protocol, written from src/proto/PROTOCOL.md and penstock.fbs alone: small, slow, and
strict. It sends what it is told to, right or wrong, and asserts of what comes back that each rule is kept.

One thread uses a session at a time. Nothing is read but while somebody waits for something or sends.
"""
import hmac
import itertools
import secrets
import struct
import time
from collections import namedtuple

from native_carrier import Carrier
from native_tables import ERRORS, generated, padded, plain, table

DATA, CREDIT, BLOCKED, PING, PONG, CLOSE, RESET = range(1, 8)
HELLO, WELCOME, FAILED, GET_MAP, MAP, MAP_CHANGED, ADMIN, ADMIN_DONE = range(1, 9)
OPEN_PUT, PUT_OPENED, PUT, PUT_DONE = range(16, 20)
SUBSCRIBE, SUBSCRIBED, DELIVERY, SHARD_END = range(32, 36)
GET, GOT = 48, 49
TABLES = {WELCOME: "Welcome", FAILED: "Failure", MAP: "ShardMap", MAP_CHANGED: "StreamName",
          ADMIN_DONE: "AdminResult", PUT_OPENED: "PutOpened", PUT_DONE: "PutResult", SUBSCRIBED: "Subscribed",
          DELIVERY: "Delivered", SHARD_END: "ShardEnd", GOT: "Got"}
WITH_ATTACHMENT = {DELIVERY, GOT}
CODES = ["kDone", "kProtocol", "kCredit", "kTooLarge", "kStalled", "kIdle", "kSlow", "kDenied", "kVersion", "kStopping",
         "kOverloaded", "kGone", "kReplaced"]
PREFACE = b"PWP/1\r\n\0"
SESSION = ANY_SHARD = 0xFFFFFFFF
PIECE = 65536
FRAME = struct.Struct("<BBHIIIQ")
MESSAGE = struct.Struct("<HHIQQII")

Frame = namedtuple("Frame", "type flags a b c payload")
Message = namedtuple("Message", "lane kind request epoch sequence table attachment size")


class Closed(Exception):
    """The server has closed: with a code that CLOSE gave, or without a word (None)."""

    def __init__(self, code, reason=""):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class LaneReset(Exception):
    def __init__(self, lane, code, reason):
        super().__init__(f"lane {lane}: {code} {reason}")
        self.lane, self.code, self.reason = lane, code, reason


def rounded(size):
    return (size + 7) & ~7


def failure(message):
    """The name of a Failed's error."""
    assert message.kind == FAILED, message
    return ERRORS[message.table.code]


class Wire:
    """A connection: frames, credit, and messages of any content."""

    def __init__(self, daemon, tls=False, hello=True, largest=PIECE, preface=True, address="127.0.0.1", **proof):
        self.daemon = daemon
        self.carrier = Carrier(daemon.port + 2, daemon.ca if tls else None, address=address)
        self.largest = largest
        self.peer_largest = None
        self.requests, self.lanes = itertools.count(1), itertools.count(1)
        self.inbox, self.resets, self.closed = [], {}, None
        self.begun, self.granted, self.blocked = 0, 0, set()
        self.sent, self.arrived, self.halves = {}, {}, {}  # by lane: messages sent and arrived; one being received
        self.lane_granted, self.lane_taken, self.windows = {}, {}, {}  # of subscriptions, in bytes
        self.welcome = self.arrival_of_close = None
        if preface:
            self.carrier.send(PREFACE + struct.pack("<II", 0, largest))
        if hello:
            answer = self.answer(self.hello(**proof))
            assert answer.kind == WELCOME, answer
            self.welcome, self.granted = answer.table, answer.table.credit

    # Frames.

    def frame(self, kind, a=0, b=0, c=0, payload=b"", flags=0):
        return self.carrier.send(FRAME.pack(kind, flags, 0, len(payload), a, b, c) + padded(payload))

    def next_frame(self, end):
        """The next frame; None when the time is over; `Closed` where the connection is."""
        def have(size):
            while len(self.carrier.incoming) < size:
                if self.carrier.ended:
                    assert not self.carrier.incoming, f"half a frame: {bytes(self.carrier.incoming[:64]).hex()}"
                    raise Closed(*(self.closed or (None,)))
                if not self.carrier.receive(end - time.monotonic()) and not self.carrier.ended:
                    return False
            return True
        incoming = self.carrier.incoming
        if self.peer_largest is None:
            if not have(16):
                return None
            assert incoming[:8] == PREFACE, bytes(incoming[:16])
            self.peer_largest = struct.unpack_from("<I", incoming, 12)[0]
            assert self.peer_largest >= 16384 and self.peer_largest % 8 == 0, self.peer_largest
            del incoming[:16]
        if not have(FRAME.size):
            return None
        kind, flags, zero, length, a, b, c = FRAME.unpack_from(incoming)
        shown = bytes(incoming[:FRAME.size]).hex()
        assert zero == 0 and length <= self.largest, shown
        whole = FRAME.size + rounded(length)
        if not have(whole):
            return None
        payload = bytes(incoming[FRAME.size:FRAME.size + length])
        assert not any(incoming[FRAME.size + length:whole]), f"padding is not 0: {shown}"
        del incoming[:whole]
        return Frame(kind, flags, a, b, c, payload)

    def pump(self, seconds):
        """Takes one frame, if one comes within the time."""
        frame = self.next_frame(time.monotonic() + seconds)
        if frame is None:
            return False
        if frame.type == DATA:
            self._piece(frame)
        elif frame.type == CREDIT:
            assert (frame.a, frame.b) == (SESSION, 0) and not frame.payload, frame
            assert frame.c >= self.granted, f"credit fell from {self.granted}: {frame}"
            self.granted = frame.c
        elif frame.type == PING:
            self.frame(PONG, c=frame.c)
        elif frame.type == PONG:
            self.inbox.append(frame)
        elif frame.type == CLOSE:
            assert (frame.b, frame.c) == (0, 0) and len(frame.payload) <= 1024, frame
            self.closed, self.arrival_of_close = (CODES[frame.a], frame.payload.decode()), time.monotonic()
            self.carrier.end()
        elif frame.type == RESET:
            assert frame.c == 0 and len(frame.payload) <= 1024, frame
            self.resets[frame.a] = (CODES[frame.b], frame.payload.decode())
            self.halves.pop(frame.a, None)
        else:
            assert frame.type == BLOCKED or frame.type >= 128, frame
        return True

    def _piece(self, frame):
        lane, size, number = frame.a, frame.c & 0xFFFFFFFF, frame.c >> 32
        last, shown = frame.flags & 1, frame._replace(payload=frame.payload[:64].hex())
        assert self.closed is None, f"DATA behind CLOSE: {shown}"
        assert lane not in self.resets, f"DATA behind RESET: {shown}"
        assert lane == 0 or lane in self.sent, f"a lane that nobody opened: {shown}"
        assert frame.payload and (last or len(frame.payload) % 8 == 0) and frame.flags < 8, shown
        half = self.halves.setdefault(lane, [size, bytearray()])
        if not half[1]:
            assert number == self.arrived.get(lane, 0), f"message {self.arrived.get(lane, 0)} is due: {shown}"
            if lane in self.lane_granted:
                self.lane_taken[lane] = self.lane_taken.get(lane, 0) + rounded(size)
                assert self.lane_taken[lane] <= self.lane_granted[lane], (
                    f"{self.lane_taken[lane]} bytes under a credit of {self.lane_granted[lane]}: {shown}")
        assert half[0] == size and frame.b == len(half[1]) and number == self.arrived.get(lane, 0), shown
        half[1].extend(frame.payload)
        assert len(half[1]) <= size and bool(last) == (len(half[1]) == size), shown
        if last:
            self.arrived[lane] = self.arrived.get(lane, 0) + 1
            self._message(lane, bytes(self.halves.pop(lane)[1]))

    def _message(self, lane, data):
        kind, flags, length, request, epoch, sequence, zero = MESSAGE.unpack_from(data)
        assert flags == 0 and zero == 0 and length % 8 == 0 and 32 + length <= len(data), data[:32].hex()
        attachment = data[32 + length:]
        assert kind in WITH_ATTACHMENT or not attachment, data[:64].hex()
        name = TABLES[kind]
        found = plain(generated(name, "T").InitFromObj(generated(name).GetRootAs(data[32:32 + length], 0)))
        self.inbox.append(Message(lane, kind, request, epoch, sequence, found, attachment, len(data)))
        if lane in self.windows:
            self.grant(lane, self.lane_taken[lane] + self.windows[lane])

    # Messages.

    def send(self, lane, kind, flatbuffer=b"", attachment=b"", request=None, sequence=0, epoch=0):
        """Sends a message whole, waiting for the credit it needs; returns its request."""
        request = next(self.requests) if request is None else request
        data = MESSAGE.pack(kind, 0, len(flatbuffer), request, epoch, sequence, 0) + flatbuffer + attachment
        self.take_credit(lane, len(data))
        self.pieces(lane, data)
        return request

    def take_credit(self, lane, size, seconds=30):
        if lane == 0:
            return
        self.begun += rounded(size)
        while self.granted < self.begun:
            if self.begun not in self.blocked:
                self.blocked.add(self.begun)
                self.frame(BLOCKED, SESSION, c=self.begun)
            assert self.pump(seconds), f"no credit: {self.granted} granted, {self.begun} wanted"

    def pieces(self, lane, data, until=None, priority=0):
        number = self.sent.get(lane, 0)
        self.sent[lane] = number + 1
        limit = min(PIECE, self.peer_largest or 16384)
        for at in range(0, len(data) if until is None else until, limit):
            piece = data[at:at + limit]
            if not self.frame(DATA, lane, at, len(data) | number << 32, piece,
                              flags=int(at + len(piece) == len(data)) | priority << 1):
                break

    def wait(self, match, seconds=20, lane=None):
        """The first message that matches, taken out of the inbox."""
        end = time.monotonic() + seconds
        while True:
            for index, message in enumerate(self.inbox):
                if match(message):
                    return self.inbox.pop(index)
            if lane in self.resets:
                raise LaneReset(lane, *self.resets[lane])
            if time.monotonic() > end or not self.pump(end - time.monotonic()):
                raise AssertionError(f"nothing of the kind within {seconds} s")

    def answer(self, request, seconds=20, lane=None):
        return self.wait(lambda message: isinstance(message, Message) and message.request == request, seconds, lane)

    def until_closed(self, seconds=20):
        """(code, reason) of the server's CLOSE, once the connection has ended; (None, '') without one."""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                self.pump(end - time.monotonic())
        except Closed as closed:
            return closed.code, closed.reason
        raise AssertionError(f"not closed within {seconds} s")

    def hello(self, access_key=None, secret=None, channel=None, shift_ms=0, nonce=None, proof=None, versions=(1, 1)):
        held = self.daemon.credentials()
        nonce = secrets.token_bytes(16) if nonce is None else nonce
        now = int(time.time() * 1000) + shift_ms
        key = hmac.digest(b"PWP1" + (secret or held["aws_secret_access_key"]).encode(), b"hello", "sha256")
        text = b"pwp/1" + (channel or self.carrier.channel) + struct.pack("<q", now) + nonce
        return self.send(0, HELLO, table(
            "Hello", version_min=versions[0], version_max=versions[1], client="native_client.py",
            access_key=access_key or held["aws_access_key_id"], nonce=list(nonce), client_time_ms=now,
            proof=list(hmac.digest(key, text, "sha256") if proof is None else proof)))

    def close(self, code=0):
        if not self.carrier.ended and self.closed is None:
            self.frame(CLOSE, code)
        self.carrier.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
