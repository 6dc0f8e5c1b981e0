"""A thousand native sessions over plain TCP and a thousand over TLS at once: each puts a batch and reads it back, none gets
another's, the memory that they take is the one that the plan says, and who comes beyond `sessions_max` hears so."""
import contextlib
import json
import random
import resource

import harness
import native_session as native
from native_session import Session, position, table

MANY, SHARDS, SPACE = 1000, 16, 2**128
SESSION_BYTES = 160 << 10  # of memory.budget: deploy/penstock.toml


def enough_descriptors(number):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < number:
        harness.skip(f"{number} descriptors are wanted, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, number), hard))


class Guest:
    """One of many: what it has sent, and what is due. Steps are taken by all before the next one is by any."""

    def __init__(self, daemon, number, tls):
        self.session, self.shard = Session(daemon, tls, hello=False), number % SHARDS
        chance = random.Random(number)
        first = self.shard * SPACE // SHARDS
        self.records = [(f"guest {number}, {n}".encode(), chance.randbytes(chance.randrange(900)), first + n)
                        for n in range(3)]

    def greet(self):
        self.request = self.session.hello()

    def greeted(self):
        answer = self.session.answer(self.request)
        assert answer.kind == native.WELCOME, answer
        self.session.granted = answer.table.credit
        self.session_id = answer.table.session
        self.lane = next(self.session.lanes)
        self.request = self.session.send(self.lane, native.OPEN_PUT, table("OpenPut", stream="many", shard=self.shard))

    def put(self):
        opened = self.session.answer(self.request, lane=self.lane)
        assert opened.kind == native.PUT_OPENED, opened
        self.request = self.session.put(self.lane, self.records)

    def get(self):
        done = self.session.answer(self.request, lane=self.lane)
        assert done.kind == native.PUT_DONE, done
        self.at = done.table.first_index
        self.lane = next(self.session.lanes)
        self.request = self.session.send(self.lane, native.GET, table(
            "Get", stream="many", shard=self.shard, position=position("Index", self.at), records_max=3))

    def got(self):
        answer = self.session.answer(self.request, lane=self.lane)
        assert answer.kind == native.GOT, answer
        read = [(record.index, record.key, record.data, record.hash) for record in native.meant(answer)]
        assert read == [(self.at + n, *record) for n, record in enumerate(self.records)], (self.at, read[:3])
        assert not self.session.inbox and not self.session.closed, self.session.inbox


def refused(daemon, tls):
    """Whether a new connection hears that there is no room, as one beyond `sessions_max` does."""
    with Session(daemon, tls, hello=False) as session:
        session.hello()
        return session.until_closed() == ("kOverloaded", "no room for another session")


def told(daemon, event):
    """The lines of an event in the log."""
    lines = [json.loads(line) for line in daemon.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_a_thousand_over_tcp_and_a_thousand_over_tls():
    enough_descriptors(2 * MANY + 500)
    settings = {"native": {"sessions_max": 2 * MANY}, "memory": {"budget": "832MiB"}}
    with harness.daemon("many", settings=settings) as daemon, contextlib.ExitStack() as stack:
        with Session(daemon) as session:
            session.create("many", SHARDS)
        harness.eventually(lambda: daemon.metric("penstock_native_sessions_open") == 0, what="the end of the first one")
        before = daemon.resident_bytes()
        guests = [Guest(daemon, number, tls=number % 2 == 1) for number in range(2 * MANY)]
        leaving, staying = guests[:2], guests[2:]  # of each kind one
        for guest in staying:
            stack.callback(guest.session.close)
        for step in (Guest.greet, Guest.greeted, Guest.put):
            for guest in guests:
                step(guest)
        assert len({guest.session_id for guest in guests}) == 2 * MANY
        assert daemon.metric("penstock_native_sessions_open") == 2 * MANY
        for tls in (False, True, False, True):
            assert refused(daemon, tls), f"{2 * MANY} sessions and room for another one, {'TLS' if tls else 'TCP'}"
        assert daemon.metric("penstock_native_sessions_refused_total") == 4
        harness.eventually(lambda: told(daemon, "sessions_full"), what="sessions_full in the log")
        for step in (Guest.get, Guest.got):
            for guest in guests:
                step(guest)
        grown = daemon.resident_bytes() - before
        print(f"# resident {before >> 20} MiB, with {2 * MANY} sessions {grown >> 20} MiB more:"
              f" {grown / (2 * MANY) / 1024:.0f} KiB each")
        assert grown <= 2 * MANY * SESSION_BYTES, grown
        assert before + grown <= 832 << 20, before + grown
        for guest in leaving:
            guest.session.close()
        harness.eventually(lambda: daemon.metric("penstock_native_sessions_open") == 2 * MANY - 2, what="two places")
        for tls in (False, True):
            stack.enter_context(Session(daemon, tls)).get_map("many")
        assert refused(daemon, tls=False)
        harness.eventually(lambda: told(daemon, "sessions_have_room"), what="sessions_have_room in the log")
        assert 1 <= len(told(daemon, "sessions_full")) <= 2, "once each time, not once for each session"


harness.run(globals())
