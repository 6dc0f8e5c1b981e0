"""Debian's AWS command line against the daemon: what a new user types, over HTTP and TLS."""
import base64
import json
import os
import pathlib
import subprocess
import sys

import harness

AWS = pathlib.Path("/usr/bin/aws")  # the package's, whatever else is in PATH


def aws(daemon, tls, *words, refused=None):
    """The parsed answer of one `aws kinesis` command, or the check that it is refused by that name."""
    if not AWS.exists():
        harness.skip("Debian's awscli is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_SHARED_CREDENTIALS_FILE": str(daemon.directory / "credentials"),
                    "AWS_CONFIG_FILE": "/dev/null", "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""}
    where = ["--endpoint-url", daemon.https, "--ca-bundle", daemon.ca] if tls else ["--endpoint-url", daemon.http]
    done = subprocess.run([AWS, "kinesis", *words, *where, "--output", "json"], env=environment,
                          capture_output=True, text=True)
    if refused:
        assert done.returncode and refused in done.stderr, (words, done.stdout, done.stderr)
        return None
    assert done.returncode == 0, (words, done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else None


def session(tls):
    with harness.daemon("awscli") as daemon:
        def run(*words, **options):
            return aws(daemon, tls, *words, **options)
        run("create-stream", "--stream-name", "fleet", "--shard-count", "1")
        run("wait", "stream-exists", "--stream-name", "fleet")
        put = run("put-record", "--stream-name", "fleet", "--partition-key", "bus-1",
                  "--data", "hello", "--cli-binary-format", "raw-in-base64-out")
        assert put["ShardId"] == "shardId-000000000000"
        answer = run("put-records", "--stream-name", "fleet", "--records",
                     json.dumps([{"PartitionKey": f"bus-{n}", "Data": base64.b64encode(b"%d" % n).decode()}
                                 for n in range(20)]))
        assert answer["FailedRecordCount"] == 0 and len(answer["Records"]) == 20
        token = run("get-shard-iterator", "--stream-name", "fleet", "--shard-id", "shardId-000000000000",
                    "--shard-iterator-type", "TRIM_HORIZON")["ShardIterator"]
        records = run("get-records", "--shard-iterator", token)["Records"]
        assert [base64.b64decode(record["Data"]) for record in records] == [b"hello"] + [
            b"%d" % n for n in range(20)]
        assert records[0]["SequenceNumber"] == put["SequenceNumber"]
        run("split-shard", "--stream-name", "fleet", "--shard-to-split", "shardId-000000000000",
            "--new-starting-hash-key", str(2**127))
        run("wait", "stream-exists", "--stream-name", "fleet")
        assert len(run("list-shards", "--stream-name", "fleet")["Shards"]) == 3
        run("merge-shards", "--stream-name", "fleet", "--shard-to-merge", "shardId-000000000001",
            "--adjacent-shard-to-merge", "shardId-000000000002")
        run("wait", "stream-exists", "--stream-name", "fleet")
        run("increase-stream-retention-period", "--stream-name", "fleet", "--retention-period-hours", "48")
        summary = run("describe-stream-summary", "--stream-name", "fleet")["StreamDescriptionSummary"]
        assert (summary["OpenShardCount"], summary["RetentionPeriodHours"]) == (1, 48), summary
        assert run("list-streams")["StreamNames"] == ["fleet"]
        run("describe-stream", "--stream-name", "none", refused="ResourceNotFoundException")
        run("delete-stream", "--stream-name", "fleet")
        run("wait", "stream-not-exists", "--stream-name", "fleet")


def test_awscli_http():
    session(tls=False)


def test_awscli_tls():
    session(tls=True)


def test_configuration_file():
    """DIR/config says where the daemon listens: Debian's CLI takes the CA from it, boto3 and penstock everything.
    A start on other ports writes it again."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}

    def answers(daemon):
        environment["AWS_SHARED_CREDENTIALS_FILE"] = str(daemon.directory / "credentials")
        environment["AWS_CONFIG_FILE"] = str(daemon.directory / "config")
        commands = [[sys.executable, "-c", "import boto3; print(boto3.client('kinesis').list_streams()['StreamNames'])"],
                    [harness.BUILD / "tools" / "penstock" / "penstock", "--dir", daemon.directory, "stream", "list"]]
        if AWS.exists():
            commands.append([AWS, "kinesis", "list-streams", "--endpoint-url", daemon.https])
        for command in commands:
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert done.returncode == 0 and "fleet" in done.stdout, (command, done.stdout, done.stderr)

    with harness.daemon("configuration") as daemon:
        harness.create_stream(daemon.boto3(), "fleet", 1)
        answers(daemon)
        assert daemon.terminate() == 0
        with harness.Daemon(daemon.directory) as moved:
            assert moved.port != daemon.port
            answers(moved)


harness.run(globals())
