"""The checker sees every lie: a small true history passes, and each way of bending it is refused."""
import checker
import harness
from checker import ACKNOWLEDGED, REFUSED, UNKNOWN, Journal, Read, make_record


def history():
    """Two shards, the second a child of the first; one call before the split, one after, one without answer."""
    journal, reads = Journal(), []
    records = [make_record("w", counter, b"payload:%d" % counter) for counter in range(6)]
    first = journal.begin([(records[0][0], "a"), (records[1][0], "b"), (records[2][0], "a")])
    journal.end(first, [(ACKNOWLEDGED, "s0", 10), (REFUSED,), (ACKNOWLEDGED, "s0", 12)])
    journal.begin([(records[3][0], "a")])
    second = journal.begin([(records[4][0], "a"), (records[5][0], "a")])
    journal.end(second, [(ACKNOWLEDGED, "s1", 20), (ACKNOWLEDGED, "s1", 21)])
    for index, shard, number in ((0, "s0", 10), (2, "s0", 12), (3, "s0", 13), (4, "s1", 20), (5, "s1", 21)):
        reads.append(Read(shard, number, "a", records[index][1]))
    return journal, reads, {"s0": [], "s1": ["s0"]}, records


def lie(bend):
    journal, reads, parents, records = history()
    bend(journal, reads, records)
    try:
        checker.prove(journal, reads, parents)
    except checker.Violation:
        return
    raise AssertionError("the checker believed it")


def test_truth_passes():
    journal, reads, parents, _ = history()
    counts = checker.prove(journal, reads, parents)
    assert counts == {ACKNOWLEDGED: 4, REFUSED: 1, UNKNOWN: 1, "read": 5, "shards": 2}, counts


def test_unknown_may_be_absent():
    journal, reads, parents, _ = history()
    del reads[2]
    checker.prove(journal, reads, parents)


def test_lost():
    lie(lambda journal, reads, records: reads.pop(1))


def test_twice():
    lie(lambda journal, reads, records: reads.append(Read("s1", 22, "a", records[0][1])))


def test_changed():
    lie(lambda journal, reads, records: reads.__setitem__(0, Read("s0", 10, "a", records[0][1] + b"x")))


def test_other_key():
    lie(lambda journal, reads, records: reads.__setitem__(0, Read("s0", 10, "b", records[0][1])))


def test_other_number():
    lie(lambda journal, reads, records: reads.__setitem__(0, Read("s0", 9, "a", records[0][1])))


def test_other_shard():
    lie(lambda journal, reads, records: reads.__setitem__(0, Read("s2", 10, "a", records[0][1])))


def test_never_sent():
    lie(lambda journal, reads, records: reads.append(Read("s1", 22, "a", make_record("w", 99, b"")[1])))


def test_foreign():
    lie(lambda journal, reads, records: reads.append(Read("s1", 22, "a", b"hello")))


def test_refused_but_there():
    lie(lambda journal, reads, records: reads.insert(1, Read("s0", 11, "b", records[1][1])))


def test_unknown_twice():
    lie(lambda journal, reads, records: reads.insert(3, Read("s0", 14, "a", records[3][1])))


def test_numbers_fall():
    lie(lambda journal, reads, records: reads.__setitem__(slice(0, 2), [reads[1], reads[0]]))


def test_child_below_parent():
    def bend(journal, reads, records):
        journal.attempts[3].outcome = ACKNOWLEDGED  # the child's first record is numbered like the parent's
        journal.attempts[3].shard, journal.attempts[3].sequence = "s1", 11
        reads[2] = Read("s1", 11, "a", records[3][1])
    lie(bend)


def test_key_out_of_order():
    def bend(journal, reads, records):
        first, last = journal.attempts[0], journal.attempts[5]
        first.shard, first.sequence, last.shard, last.sequence = "s1", 21, "s0", 10
        reads[0], reads[4] = Read("s0", 10, "a", records[5][1]), Read("s1", 21, "a", records[0][1])
    lie(bend)


def test_call_out_of_order():
    def bend(journal, reads, records):
        journal.attempts[4].sequence, journal.attempts[5].sequence = 21, 20
        reads[3], reads[4] = Read("s1", 20, "a", records[5][1]), Read("s1", 21, "a", records[4][1])
    lie(bend)


def produced():
    """Of an idempotent producer: three attempts on one key before the first answer; the last is never answered."""
    journal, records = Journal(), [make_record("w", counter, b"payload:%d" % counter) for counter in range(3)]
    attempts = [journal.begin([(identity, "a")], producer="p")[0] for identity, _ in records]
    for attempt, number in ((attempts[1], 11), (attempts[0], 10)):
        journal.end([attempt], [(ACKNOWLEDGED, "s0", number)])
    reads = [Read("s0", 10 + index, "a", data) for index, (_, data) in enumerate(records)]
    return journal, reads, attempts


def produced_lie(bend):
    journal, reads, attempts = produced()
    checker.prove(journal, reads, {"s0": []})
    bend(reads, attempts)
    try:
        checker.prove(journal, reads, {"s0": []})
    except checker.Violation:
        return
    raise AssertionError("the checker believed it")


def test_producer_out_of_order():
    def bend(reads, attempts):
        attempts[0].sequence, attempts[1].sequence = 11, 10
        reads[0].data, reads[1].data = reads[1].data, reads[0].data
    produced_lie(bend)


def test_producer_late_and_never_answered():
    def bend(reads, attempts):
        attempts[0].sequence, attempts[1].sequence = 11, 12
        reads[0].data, reads[1].data, reads[2].data = reads[2].data, reads[0].data, reads[1].data
    produced_lie(bend)


def test_producer_twice():
    produced_lie(lambda reads, attempts: reads.append(Read("s0", 13, "a", reads[0].data)))
    produced_lie(lambda reads, attempts: reads.append(Read("s0", 13, "a", reads[2].data)))


def test_journal_file():
    """Taken as it grows; a line without an end has not happened."""
    with harness.scratch("checker") as folder:
        journal, path = Journal(), folder / "journal"
        file = checker.JournalFile(path, journal, "p")
        file.take()
        with open(path, "ab", buffering=0) as text:
            text.write(b"begin\tw:0\tkey one\nbegin\tw:1\tk\nstored\tw:1\ts0\t00012\nbegin\tw:2\tk\nbegin\tw:3")
            file.take()
            file.take()
            assert [(a.record, a.key, a.outcome, a.shard, a.sequence, a.producer) for a in journal.attempts] == [
                ("w:0", "key one", UNKNOWN, "", 0, "p"), ("w:1", "k", ACKNOWLEDGED, "s0", 12, "p"),
                ("w:2", "k", UNKNOWN, "", 0, "p")], journal.attempts
            one, two, three = journal.attempts
            assert one.begun == two.begun < two.ended < three.begun, journal.attempts
            text.write(b"\tk\nrefused\tw:0\tkTooLarge\nunknown\tw:2\tkUnknownOutcome\nstored\tw:3\ts0")
            file.take()
        assert journal.counts() == {ACKNOWLEDGED: 1, REFUSED: 1, UNKNOWN: 2}, journal.counts()
        assert (list(file.open), file.refused, file.unknown) == (["w:3"], 1, 1), file.open


harness.run(globals())
