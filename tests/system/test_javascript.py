"""The AWS SDK for JavaScript with its HTTP/1.1 handler (by itself it speaks HTTP/2), over HTTP and TLS."""
import json
import os
import pathlib
import subprocess

import harness

SCRIPT = pathlib.Path(__file__).with_name("javascript") / "session.mjs"


def packages():
    """The newest SDK that the installed node can run: later ones want node 20, Debian 12 has 18."""
    try:
        version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        harness.skip("node is not installed")
    sdk = "@aws-sdk/client-kinesis"
    return [sdk if int(version.lstrip("v").split(".")[0]) >= 20 else sdk + "@<3.900", "@smithy/node-http-handler@4"]


def session(tls):
    folder = harness.node_modules(*packages())
    with harness.daemon("javascript") as daemon:
        secret = daemon.credentials()
        environment = {**os.environ, "MODULES": str(folder), "CA": daemon.ca if tls else "",
                       "ENDPOINT": daemon.https if tls else daemon.http, "REGION": secret["region"],
                       "ACCESS_KEY": secret["aws_access_key_id"], "SECRET_KEY": secret["aws_secret_access_key"]}
        done = subprocess.run(["node", SCRIPT], env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {
            "openAtFirst": 1, "putShard": "shardId-000000000000", "failed": 0, "accepted": 100,
            "shards": [f"shardId-{n:012}" for n in range(3)],
            "parent": {"data": ["zero"] + [f"n{n}" for n in range(100)],
                       "children": ["shardId-000000000001", "shardId-000000000002"]},
            "openAtLast": 1, "refusal": "ResourceNotFoundException"}, done.stdout


def test_javascript_http():
    session(tls=False)


def test_javascript_tls():
    session(tls=True)


harness.run(globals())
