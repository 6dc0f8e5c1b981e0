"""What programs ask of a native session, for the tests: maps, administration, puts, gets and subscriptions."""
import harness
from native_client import *  # noqa: F403 the protocol's words: a test imports this module alone
from native_client import Wire
from native_tables import *  # noqa: F403


class Session(Wire):
    def get_map(self, stream):
        """The whole map, as one ShardMap."""
        whole, first = None, 0
        while True:
            answer = self.answer(self.send(0, GET_MAP, table("StreamName", name=stream, from_=first)))
            if answer.kind == FAILED:
                return answer
            part = answer.table
            if whole is None or part.epoch != whole.epoch:
                whole, restart = part, whole is not None and part.epoch != whole.epoch
                if restart and first:
                    whole, first = None, 0
                    continue
            else:
                whole.shards += part.shards
            if not part.more:
                return whole
            first = part.shards[-1].number + 1

    def admin(self, operation, **fields):
        return self.answer(self.send(0, ADMIN, table("Admin", operation=getattr(generated("AdminOperation"), operation),
                                                     **fields)), 30)

    def create(self, stream, shards):
        done = self.admin("CreateStream", stream=stream, shard_count=shards)
        assert done.kind == ADMIN_DONE, failure(done)
        return harness.eventually(lambda: (found := self.get_map(stream)) and getattr(found, "state", 0) == 1
                                  and found, what=f"{stream} Active")

    def open_put(self, stream, shard=ANY_SHARD, producer=0, epoch=0, resume=False):
        """(lane, PutOpened or Failed)."""
        lane = next(self.lanes)
        request = self.send(lane, OPEN_PUT, table("OpenPut", stream=stream, shard=shard, producer=producer,
                                                  epoch=epoch, resume=resume))
        return lane, self.answer(request, lane=lane)

    def opened(self, *arguments, **options):
        lane, answer = self.open_put(*arguments, **options)
        assert answer.kind == PUT_OPENED, failure(answer)
        return lane

    def put(self, lane, records, sequence=0):
        flatbuffer = records if isinstance(records, bytes) else batch(records)
        return self.send(lane, PUT, attachment=flatbuffer, sequence=sequence)

    def put_wait(self, lane, records, sequence=0):
        return self.answer(self.put(lane, records, sequence), lane=lane)

    def get(self, lane, stream, shard, at, bytes_max=1 << 20, records_max=10_000, wait_ms=0):
        return self.answer(self.send(lane, GET, table(
            "Get", stream=stream, shard=shard, position=at, bytes_max=bytes_max, records_max=records_max,
            wait_ms=wait_ms)), 30, lane)

    def read(self, stream, shard, at=None, bytes_max=1 << 20):
        """Every record from a position to the newest, and the last Got."""
        lane, found, at = next(self.lanes), [], at or position("Horizon")
        while True:
            got = self.get(lane, stream, shard, at, bytes_max)
            assert got.kind == GOT, failure(got)
            mine = [record for stored in stored_batches(got.attachment) for record in stored.records
                    if got.table.from_ <= record.index < got.table.next]
            assert [record.index for record in mine] == list(range(got.table.from_, got.table.next))
            found += mine
            if not mine:
                self.frame(RESET, lane)
                return found, got.table
            at = position("Index", got.table.next)

    def subscribe(self, stream, shard, at, window=1 << 20, delivery_bytes=65536, wait=True):
        """A lane on which deliveries come; `window` bytes are granted beyond what was taken; None: nothing is."""
        lane = next(self.lanes)
        self.lane_granted[lane] = 0
        request = self.send(lane, SUBSCRIBE, table("Subscribe", stream=stream, shard=shard, position=at,
                                                   delivery_bytes=delivery_bytes))
        if window:
            self.windows[lane] = window
            self.grant(lane, window)
        return (lane, self.answer(request, lane=lane)) if wait else lane

    def grant(self, lane, amount):
        self.lane_granted[lane] = amount
        self.frame(CREDIT, lane, c=amount)

    def delivered(self, lane, count=1, seconds=20):
        """So many records of a subscription, as (records, deliveries)."""
        records, messages = [], []
        while len(records) < count:
            message = self.wait(lambda m: isinstance(m, Message) and m.lane == lane, seconds, lane)
            assert message.kind == DELIVERY, message
            messages.append(message)
            records += meant(message)
        return records, messages
