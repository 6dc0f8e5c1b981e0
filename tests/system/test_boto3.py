"""The newest boto3 against the daemon: every operation with its answers and refusals, over HTTP and TLS."""
import datetime
import hashlib
import time

import harness
from harness import refusal

SPACE = 2**128


def with_daemon(tls):
    """Runs a test function with (daemon, client) of a daemon of its own."""
    def decorate(function):
        def test():
            with harness.daemon("boto3") as daemon:
                function(daemon, daemon.boto3(tls))
        test.__name__ = f"test_{function.__name__}_{'tls' if tls else 'http'}"
        globals()[test.__name__] = test
        return function
    return decorate


def iterator(client, stream, shard, kind, **position):
    return client.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType=kind,
                                     **position)["ShardIterator"]


def read(client, token, calls=1):
    """Records of so many calls from an iterator, and the last answer."""
    records, answer = [], None
    for _ in range(calls):
        answer = client.get_records(ShardIterator=token)
        records += answer["Records"]
        token = answer.get("NextShardIterator")
        if token is None:
            break
    return records, answer


def open_shards(client, stream):
    return client.list_shards(StreamName=stream, ShardFilter={"Type": "AT_LATEST"})["Shards"]


@with_daemon(tls=False)
@with_daemon(tls=True)
def streams(daemon, client):
    client.create_stream(StreamName="one", ShardCount=3)
    summary = harness.wait_active(client, "one")
    assert summary["StreamARN"].endswith(":stream/one"), summary
    assert (summary["OpenShardCount"], summary["RetentionPeriodHours"]) == (3, 24), summary
    assert summary["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}, summary
    assert summary.get("EncryptionType", "NONE") == "NONE", summary
    assert abs(summary["StreamCreationTimestamp"].timestamp() - time.time()) < 60, summary

    description = client.describe_stream(StreamName="one")["StreamDescription"]
    ranges = [(int(shard["HashKeyRange"]["StartingHashKey"]), int(shard["HashKeyRange"]["EndingHashKey"]))
              for shard in description["Shards"]]
    width = SPACE // 3
    assert ranges == [(0, width - 1), (width, 2 * width - 1), (2 * width, SPACE - 1)], ranges
    assert [shard["ShardId"] for shard in description["Shards"]] == [f"shardId-{n:012}" for n in range(3)]
    assert description["HasMoreShards"] is False
    page = client.describe_stream(StreamName="one", Limit=2)["StreamDescription"]
    assert len(page["Shards"]) == 2 and page["HasMoreShards"] is True
    page = client.describe_stream(StreamName="one", ExclusiveStartShardId="shardId-000000000001")
    assert [shard["ShardId"] for shard in page["StreamDescription"]["Shards"]] == ["shardId-000000000002"]
    by_arn = client.describe_stream_summary(StreamARN=summary["StreamARN"])["StreamDescriptionSummary"]
    assert by_arn["StreamName"] == "one"

    for name in ("two", "three"):
        harness.create_stream(client, name, 1)
    listing = client.list_streams()
    assert listing["StreamNames"] == ["one", "three", "two"] and listing["HasMoreStreams"] is False, listing
    assert [row["StreamName"] for row in listing["StreamSummaries"]] == ["one", "three", "two"], listing
    first = client.list_streams(Limit=2)
    assert first["StreamNames"] == ["one", "three"] and first["HasMoreStreams"] is True, first
    assert client.list_streams(NextToken=first["NextToken"])["StreamNames"] == ["two"]
    assert client.list_streams(ExclusiveStartStreamName="p")["StreamNames"] == ["three", "two"]

    client.delete_stream(StreamName="two")
    harness.eventually(lambda: "two" not in client.list_streams()["StreamNames"], what="two is gone")
    assert refusal(client.describe_stream, StreamName="two")[0] == "ResourceNotFoundException"
    harness.create_stream(client, "two", 1)  # the name is free again, and nothing of the old one is there
    assert read(client, iterator(client, "two", "shardId-000000000000", "TRIM_HORIZON"))[0] == []


@with_daemon(tls=False)
@with_daemon(tls=True)
def records(daemon, client):
    harness.create_stream(client, "data", 2)
    before = time.time()
    put = client.put_record(StreamName="data", Data=b"first", PartitionKey="key", ExplicitHashKey="0")
    assert put["ShardId"] == "shardId-000000000000" and len(put["SequenceNumber"]) == 56, put
    again = client.put_record(StreamName="data", Data=b"", PartitionKey="key", ExplicitHashKey=str(SPACE - 1),
                              SequenceNumberForOrdering=put["SequenceNumber"])
    assert again["ShardId"] == "shardId-000000000001", again

    keys = [f"device-{index}" for index in range(500)]
    answer = client.put_records(StreamName="data", Records=[
        {"PartitionKey": key, "Data": key.encode() * (1 + index % 9)} for index, key in enumerate(keys)])
    assert answer["FailedRecordCount"] == 0 and len(answer["Records"]) == 500
    for key, entry in zip(keys, answer["Records"]):
        upper = int.from_bytes(hashlib.md5(key.encode()).digest(), "big") >= SPACE // 2
        assert entry["ShardId"] == f"shardId-{int(upper):012}", (key, entry)

    found, last = read(client, iterator(client, "data", "shardId-000000000000", "TRIM_HORIZON"), 3)
    expected = [(put["SequenceNumber"], "key", b"first")] + [
        (entry["SequenceNumber"], key, key.encode() * (1 + index % 9))
        for index, (key, entry) in enumerate(zip(keys, answer["Records"])) if entry["ShardId"].endswith("0")]
    assert [(row["SequenceNumber"], row["PartitionKey"], row["Data"]) for row in found] == expected
    assert last["MillisBehindLatest"] == 0 and last["NextShardIterator"]
    assert all(before - 2 < row["ApproximateArrivalTimestamp"].timestamp() < time.time() + 2 for row in found)

    # All five iterator types, and a limit.
    shard, middle = "shardId-000000000000", found[10]["SequenceNumber"]
    assert read(client, iterator(client, "data", shard, "AT_SEQUENCE_NUMBER",
                                 StartingSequenceNumber=middle))[0] == found[10:]
    assert read(client, iterator(client, "data", shard, "AFTER_SEQUENCE_NUMBER",
                                 StartingSequenceNumber=middle))[0] == found[11:]
    start = datetime.datetime.fromtimestamp(before - 60)
    assert read(client, iterator(client, "data", shard, "AT_TIMESTAMP", Timestamp=start))[0] == found
    limited = client.get_records(ShardIterator=iterator(client, "data", shard, "TRIM_HORIZON"), Limit=7)
    assert limited["Records"] == found[:7]
    assert client.get_records(ShardIterator=limited["NextShardIterator"], Limit=10000)["Records"] == found[7:]
    latest = iterator(client, "data", shard, "LATEST")
    assert read(client, latest)[0] == []
    time.sleep(1.1)
    after = time.time()
    newest = client.put_record(StreamName="data", Data=b"newest", PartitionKey="k", ExplicitHashKey="1")
    assert [row["SequenceNumber"] for row in read(client, latest)[0]] == [newest["SequenceNumber"]]
    at_time = iterator(client, "data", shard, "AT_TIMESTAMP",
                       Timestamp=datetime.datetime.fromtimestamp(after - 0.5))
    assert [row["Data"] for row in read(client, at_time)[0]] == [b"newest"]
    behind = client.get_records(ShardIterator=iterator(client, "data", shard, "TRIM_HORIZON"), Limit=1)
    assert behind["MillisBehindLatest"] >= 1000, behind["MillisBehindLatest"]


@with_daemon(tls=False)
def large_records(daemon, client):
    harness.create_stream(client, "large", 1)
    data = bytes(range(256)) * 4096
    client.put_record(StreamName="large", Data=data, PartitionKey="k")
    client.put_records(StreamName="large", Records=[
        {"Data": data[:-256], "PartitionKey": "k" * 256}] * 9)
    found, _ = read(client, iterator(client, "large", "shardId-000000000000", "TRIM_HORIZON"), 5)
    assert [len(row["Data"]) for row in found] == [2**20] + [2**20 - 256] * 9
    assert found[0]["Data"] == data and found[9]["Data"] == data[:-256]
    assert refusal(client.put_record, StreamName="large", Data=data + b"x", PartitionKey="k")[0] in (
        "InvalidArgumentException", "ValidationException")


@with_daemon(tls=False)
@with_daemon(tls=True)
def resharding(daemon, client):
    harness.create_stream(client, "shards", 2)
    early = client.put_record(StreamName="shards", Data=b"early", PartitionKey="k", ExplicitHashKey="5")
    client.split_shard(StreamName="shards", ShardToSplit="shardId-000000000000", NewStartingHashKey="1000")
    harness.wait_active(client, "shards")
    listed = {shard["ShardId"]: shard for shard in client.list_shards(StreamName="shards")["Shards"]}
    assert sorted(listed) == [f"shardId-{n:012}" for n in range(4)]
    assert listed["shardId-000000000002"]["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": "999"}
    assert listed["shardId-000000000003"]["ParentShardId"] == "shardId-000000000000"
    assert "AdjacentParentShardId" not in listed["shardId-000000000003"]
    parent = listed["shardId-000000000000"]["SequenceNumberRange"]
    assert int(parent["StartingSequenceNumber"]) <= int(early["SequenceNumber"]) <= int(
        parent["EndingSequenceNumber"])
    late = client.put_record(StreamName="shards", Data=b"late", PartitionKey="k", ExplicitHashKey="5")
    assert late["ShardId"] == "shardId-000000000002"
    assert int(late["SequenceNumber"]) > int(parent["EndingSequenceNumber"])

    found, last = read(client, iterator(client, "shards", "shardId-000000000000", "TRIM_HORIZON"), 5)
    assert [row["Data"] for row in found] == [b"early"] and "NextShardIterator" not in last, last
    assert [(child["ShardId"], child["ParentShards"]) for child in last["ChildShards"]] == [
        ("shardId-000000000002", ["shardId-000000000000"]), ("shardId-000000000003", ["shardId-000000000000"])]
    at_end = client.get_records(ShardIterator=iterator(client, "shards", "shardId-000000000000", "LATEST"))
    assert "NextShardIterator" not in at_end and len(at_end["ChildShards"]) == 2, at_end

    client.merge_shards(StreamName="shards", ShardToMerge="shardId-000000000003",
                        AdjacentShardToMerge="shardId-000000000001")
    harness.wait_active(client, "shards")
    merged = client.list_shards(StreamName="shards", ExclusiveStartShardId="shardId-000000000003")["Shards"]
    assert [(shard["ParentShardId"], shard["AdjacentParentShardId"]) for shard in merged] == [
        ("shardId-000000000003", "shardId-000000000001")]
    for name in ("shardId-000000000001", "shardId-000000000003"):
        _, last = read(client, iterator(client, "shards", name, "TRIM_HORIZON"), 5)
        assert [sorted(child["ParentShards"]) for child in last["ChildShards"]] == [
            ["shardId-000000000001", "shardId-000000000003"]], last

    def filtered(**shard_filter):
        shards = client.list_shards(StreamName="shards", ShardFilter=shard_filter)["Shards"]
        return [int(shard["ShardId"][-3:]) for shard in shards]
    assert filtered(Type="FROM_TRIM_HORIZON") == [0, 1, 2, 3, 4]
    assert filtered(Type="AT_TRIM_HORIZON") == [0, 1]
    assert filtered(Type="AT_LATEST") == [2, 4]
    assert filtered(Type="AFTER_SHARD_ID", ShardId="shardId-000000000002") == [3, 4]
    long_ago = datetime.datetime.fromtimestamp(time.time() - 3600)
    assert filtered(Type="FROM_TIMESTAMP", Timestamp=long_ago) == [0, 1, 2, 3, 4]
    time.sleep(1.1)
    assert filtered(Type="AT_TIMESTAMP", Timestamp=datetime.datetime.now()) == [2, 4]
    page = client.list_shards(StreamName="shards", MaxResults=2)
    assert [int(shard["ShardId"][-3:]) for shard in page["Shards"]] == [0, 1]
    rest = client.list_shards(NextToken=page["NextToken"], MaxResults=2)
    assert [int(shard["ShardId"][-3:]) for shard in rest["Shards"]] == [2, 3], rest
    assert [int(shard["ShardId"][-3:]) for shard in client.list_shards(NextToken=rest["NextToken"])["Shards"]] == [4]

    # What must be refused.
    call = dict(StreamName="shards", NewStartingHashKey="500")
    assert refusal(client.split_shard, ShardToSplit="shardId-000000000000", **call)[0] == "InvalidArgumentException"
    assert refusal(client.split_shard, ShardToSplit="shardId-000000000099", **call)[0] == (
        "ResourceNotFoundException")
    assert refusal(client.split_shard, StreamName="shards", ShardToSplit="shardId-000000000002",
                   NewStartingHashKey="1000")[0] == "InvalidArgumentException"
    assert refusal(client.merge_shards, StreamName="shards", ShardToMerge="shardId-000000000004",
                   AdjacentShardToMerge="shardId-000000000002")[0] == "InvalidArgumentException"
    assert refusal(client.list_shards, StreamName="shards", NextToken=page["NextToken"])[0] == (
        "InvalidArgumentException")


@with_daemon(tls=False)
def retention(daemon, client):
    harness.create_stream(client, "keep", 1)

    def hours():
        return client.describe_stream_summary(StreamName="keep")["StreamDescriptionSummary"]["RetentionPeriodHours"]
    client.increase_stream_retention_period(StreamName="keep", RetentionPeriodHours=48)
    harness.eventually(lambda: hours() == 48, what="48 hours")
    harness.wait_active(client, "keep")
    client.decrease_stream_retention_period(StreamName="keep", RetentionPeriodHours=25)
    harness.eventually(lambda: hours() == 25, what="25 hours")
    harness.wait_active(client, "keep")
    for call, value in ((client.increase_stream_retention_period, 24), (client.decrease_stream_retention_period, 30),
                        (client.increase_stream_retention_period, 8761),
                        (client.decrease_stream_retention_period, 23)):
        name, message = refusal(call, StreamName="keep", RetentionPeriodHours=value)
        assert name == "InvalidArgumentException", (value, name, message)


@with_daemon(tls=False)
def errors(daemon, client):
    harness.create_stream(client, "here", 1)
    name, message = refusal(client.describe_stream, StreamName="nowhere")
    assert name == "ResourceNotFoundException" and "Stream nowhere under account" in message, message
    record = dict(Data=b"x", PartitionKey="k")
    for call, arguments in (
            (client.put_record, record), (client.put_records, dict(Records=[record])), (client.list_shards, {}),
            (client.delete_stream, {}), (client.describe_stream_summary, {}),
            (client.get_shard_iterator, dict(ShardId="shardId-000000000000", ShardIteratorType="LATEST")),
            (client.split_shard, dict(ShardToSplit="shardId-000000000000", NewStartingHashKey="1000")),
            (client.increase_stream_retention_period, dict(RetentionPeriodHours=48))):
        assert refusal(call, StreamName="nowhere", **arguments)[0] == "ResourceNotFoundException", call
    assert refusal(client.create_stream, StreamName="here", ShardCount=1)[0] == "ResourceInUseException"
    assert refusal(client.get_shard_iterator, StreamName="here", ShardId="shardId-000000000009",
                   ShardIteratorType="LATEST")[0] == "ResourceNotFoundException"
    assert refusal(client.get_records, ShardIterator="bm9uc2Vuc2U=")[0] == "InvalidArgumentException"
    good = iterator(client, "here", "shardId-000000000000", "TRIM_HORIZON")
    forged = good[:-5] + ("A" if good[-5] != "A" else "B") + good[-4:]
    assert refusal(client.get_records, ShardIterator=forged)[0] == "InvalidArgumentException"
    assert refusal(client.put_record, StreamName="here", Data=b"x", PartitionKey="k",
                   ExplicitHashKey=str(SPACE))[0] == "InvalidArgumentException"
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP"):
        assert refusal(client.get_shard_iterator, StreamName="here", ShardId="shardId-000000000000",
                       ShardIteratorType=kind)[0] == "InvalidArgumentException", kind
    name, message = refusal(client.create_stream, StreamName="not a name", ShardCount=1)
    assert name == "ValidationException" and "streamName" in message, message
    unchecked = daemon.boto3(parameter_validation=False)  # so that our own checks are seen
    assert refusal(unchecked.put_records, StreamName="here", Records=[])[0] == "ValidationException"
    assert refusal(unchecked.put_records, StreamName="here", Records=[record] * 501)[0] == "ValidationException"
    assert refusal(unchecked.put_record, StreamName="here", Data=b"x", PartitionKey="")[0] == "ValidationException"
    assert refusal(unchecked.put_record, StreamName="here", Data=b"x", PartitionKey="k" * 257)[0] == (
        "ValidationException")
    assert refusal(unchecked.put_record, StreamName="here", Data=b"x", PartitionKey=5)[0] == (
        "SerializationException")
    assert refusal(unchecked.get_records, ShardIterator=good, Limit=10001)[0] in (
        "InvalidArgumentException", "ValidationException")


@with_daemon(tls=False)
def credentials(daemon, client):
    good = daemon.credentials()

    def other(key, secret):
        return daemon.boto3(credentials={**good, "aws_access_key_id": key, "aws_secret_access_key": secret})
    secret, key = good["aws_secret_access_key"], good["aws_access_key_id"]
    assert refusal(other(key, secret[::-1]).list_streams)[0] == "InvalidSignatureException"
    assert refusal(other("AKIANOBODY0000000000", secret).list_streams)[0] == "UnrecognizedClientException"
    assert client.list_streams()["StreamNames"] == []


def test_limits_are_the_services():
    """Per-shard limits as the service has them: 1,000 records and 1 MiB a second, refused by entry, and then
    every later entry of that shard in that call."""
    with harness.daemon("limits", limits="kinesis") as daemon:
        client = daemon.boto3()
        harness.create_stream(client, "slow", 1)
        begin, admitted, refused = time.monotonic(), 0, 0
        while time.monotonic() - begin < 4:
            answer = client.put_records(StreamName="slow", Records=[{"Data": b"x" * 100, "PartitionKey": "k"}] * 500)
            taken = ["SequenceNumber" in entry for entry in answer["Records"]]
            assert taken == sorted(taken, reverse=True), "an entry was taken after one was refused"
            assert answer["FailedRecordCount"] == taken.count(False)
            for entry in answer["Records"]:
                if "SequenceNumber" not in entry:
                    assert entry["ErrorCode"] == "ProvisionedThroughputExceededException", entry
                    assert "Rate exceeded for shard shardId-000000000000 in stream slow" in entry["ErrorMessage"]
            admitted, refused = admitted + sum(taken), refused + taken.count(False)
        seconds = time.monotonic() - begin
        assert refused and admitted <= 1000 * (seconds + 1) + 500, (admitted, refused, seconds)
        assert admitted >= 1000 * (seconds - 1) * 0.9, (admitted, refused, seconds)


harness.run(globals())
