"""What an operator does by hand: the commands that work on a stopped daemon's data directory refuse a running one
and leave behind what starts again."""
import json
import subprocess

import harness

PENSTOCK = harness.BUILD / "tools" / "penstock" / "penstock"


def penstock(*words):
    return subprocess.run([PENSTOCK, *map(str, words)], capture_output=True, text=True)


def test_data_directory_commands():
    commands = ["cell", "clear", "--cell", 0], ["clock", "accept"]
    with harness.daemon("operator") as daemon:
        client = daemon.boto3()
        harness.create_stream(client, "fleet", 2)
        client.put_record(StreamName="fleet", PartitionKey="bus-1", Data=b"hello")
        for command in commands:
            done = penstock(*command, "--data-dir", daemon.directory)
            assert done.returncode == 6 and f"process {daemon.process.pid} holds it" in done.stderr, done
        assert daemon.running()
        assert daemon.terminate() == 0
        for command in commands:
            done = penstock(*command, "--data-dir", daemon.directory, "-o", "json")
            assert done.returncode == 0, done.stderr
            answer = json.loads(done.stdout)
            assert not answer.get("was_fenced") and not answer.get("was_unsure"), answer
        daemon.start()
        found = []
        for shard in client.list_shards(StreamName="fleet")["Shards"]:
            token = client.get_shard_iterator(StreamName="fleet", ShardId=shard["ShardId"],
                                              ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
            found += client.get_records(ShardIterator=token)["Records"]
        assert [record["Data"] for record in found] == [b"hello"], found


harness.run(globals())
