"""Ten thousand malformed requests, of every kind that a stranger's bytes can be wrong in: each gets a clear
refusal or a closed connection, memory stays flat, and the next good request is served."""
import random
import socket

import harness

GOOD_HEADERS = {"Host": "127.0.0.1", "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "Kinesis_20131202.ListStreams", "X-Amz-Date": "20260101T000000Z",
                "Authorization": "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/kinesis/aws4_request, "
                                 "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64}


def request(body=b"{}", headers=None, line=b"POST / HTTP/1.1"):
    fields = {**GOOD_HEADERS, "Content-Length": str(len(body)), **(headers or {})}
    lines = [line] + [f"{name}: {value}".encode("latin-1") for name, value in fields.items() if value is not None]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def signed(daemon, target, body, kind="application/x-amz-json-1.1"):
    """A request whose signature is good, so that its body is looked at."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    secret = daemon.credentials()
    wanted = AWSRequest("POST", daemon.http + "/", data=body, headers={
        "Host": f"127.0.0.1:{daemon.port + 1}", "Content-Type": kind, "X-Amz-Target": f"Kinesis_20131202.{target}"})
    SigV4Auth(Credentials(secret["aws_access_key_id"], secret["aws_secret_access_key"]), "kinesis",
              secret["region"]).add_auth(wanted)
    return request(body, {"Host": None, "Content-Type": None, "X-Amz-Target": None, "X-Amz-Date": None,
                          **dict(wanted.headers)})


def malformed_body(chance):
    """A body that its operation must refuse."""
    record = b'{"Data":"aGVsbG8=","PartitionKey":"k"}'
    puts = b'{"StreamName":"s","Records":[' + record + b"]}"
    return chance.choice([
        ("PutRecords", puts[:chance.randrange(len(puts))]),
        ("PutRecords", puts + b"}"),
        ("PutRecords", b"[" * 5000),
        ("PutRecords", b'{"StreamName":' * 3000),
        ("PutRecords", b'{"StreamName":"s","Records":[' + b",".join([record] * 501) + b"]}"),
        ("PutRecords", b'{"StreamName":"s","Records":[]}'),
        ("PutRecords", b'{"StreamName":"s","Records":{"Data":1}}'),
        ("PutRecords", b'{"StreamName":"s","Records":[null]}'),
        ("PutRecord", b'{"StreamName":"s","Data":"not base64!","PartitionKey":"k"}'),
        ("PutRecord", b'{"StreamName":"s","Data":"aGVsbG8","PartitionKey":"k"}'),
        ("PutRecord", b'{"StreamName":"s","Data":"aGVsbG8=","PartitionKey":""}'),
        ("PutRecord", b'{"StreamName":"s","Data":"aGVsbG8=","PartitionKey":"\xff\xfe"}'),
        ("PutRecord", b'{"StreamName":"s","Data":"aGVsbG8=","PartitionKey":"k","ExplicitHashKey":"-1"}'),
        ("PutRecord", b'{"StreamName":"s","Data":"aGVsbG8=","PartitionKey":"k","ExplicitHashKey":"' + b"9" * 39 + b'"}'),
        ("GetRecords", b'{"ShardIterator":"' + chance.randbytes(60).hex().encode() + b'"}'),
        ("GetRecords", b'{"ShardIterator":"' + b"A" * 600 + b'"}'),
        ("GetRecords", b'{"ShardIterator":5,"Limit":"many"}'),
        ("GetShardIterator", b'{"StreamName":"s","ShardId":"shardId-0","ShardIteratorType":"SIDEWAYS"}'),
        ("GetShardIterator", b'{"StreamName":"s","ShardId":"shardId-0","ShardIteratorType":"AT_TIMESTAMP","Timestamp":1e300}'),
        ("CreateStream", b'{"StreamName":"' + b"x" * 129 + b'","ShardCount":1}'),
        ("CreateStream", b'{"StreamName":"t","ShardCount":-1}'),
        ("CreateStream", b'{"StreamName":"t","ShardCount":1e400}'),
        ("ListShards", b'{"StreamName":"s","NextToken":"x"}'),
        ("ListShards", b'{"NextToken":"AAAA"}'),
        ("SplitShard", b'{"StreamName":"s","ShardToSplit":"shardId-0","NewStartingHashKey":"0"}'),
        ("Explode", b"{}"),
    ])


def malformed(chance, daemon):
    """(what it is, bytes). The bytes end the request or the connection: an answer or a close must follow."""
    if chance.random() < 0.3:
        target, body = malformed_body(chance)
        return f"signed {target}", signed(daemon, target, body)
    noise = chance.randbytes(chance.randrange(1, 200))
    target = "Kinesis_20131202." + chance.choice(["PutRecord", "PutRecords", "GetRecords", "CreateStream"])
    valid = request()
    cut = chance.randrange(1, len(valid))
    flipped = bytearray(valid)
    flipped[chance.randrange(len(valid))] ^= 1 << chance.randrange(8)
    return chance.choice([
        ("noise", noise + b"\r\n\r\n"),
        ("cut", valid[:cut]),
        ("flipped", bytes(flipped)),
        ("no such method", request(line=b"BREW / HTTP/1.1")),
        ("no such version", request(line=b"POST / HTTP/9.9")),
        ("no target", request(headers={"X-Amz-Target": None})),
        ("unknown operation", request(headers={"X-Amz-Target": "Kinesis_20131202.Explode"})),
        ("no signature", request(headers={"Authorization": None})),
        ("half a signature", request(headers={"Authorization": "AWS4-HMAC-SHA256 Credential=x"})),
        ("wrong signature", request()),
        ("body is noise", request(noise, {"X-Amz-Target": target})),
        ("body is deep", request(b"[" * 5000, {"X-Amz-Target": target})),
        ("body is of wrong types", request(b'{"StreamName":[1,{}],"Records":7}', {"X-Amz-Target": target})),
        ("content length is no number", request(headers={"Content-Length": "ten"})),
        ("content length is negative", request(headers={"Content-Length": "-5"})),
        ("content length is huge", request(headers={"Content-Length": "99999999999999999999"})),
        ("two lengths", valid.replace(b"\r\n\r\n", b"\r\nContent-Length: 7\r\n\r\n")),
        ("length and chunks", request(headers={"Transfer-Encoding": "chunked"})),
        ("bad chunk", request(b"zz\r\n\r\n", {"Content-Length": None, "Transfer-Encoding": "chunked"})),
        ("long header", request(headers={"X-Long": "x" * 100_000})),
        ("many headers", request(headers={f"X-{n}": "x" for n in range(500)})),
        ("header without colon", valid.replace(b"Host: ", b"Host ")),
        ("folded header", valid.replace(b"\r\nX-Amz-Date", b"\r\n folded\r\nX-Amz-Date")),
        ("null in header", valid.replace(b"127.0.0.1", b"127\0.0.1")),
        ("old CBOR", request(b"\xbf\xff" + noise, {"Content-Type": "application/x-amz-cbor-1.1"})),
    ])


def send(port, data):
    """Everything the daemon answered until it closed, or until its answer was whole."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
            return answer
        except (ConnectionResetError, BrokenPipeError):
            return b""


def test_malformed_requests():
    with harness.daemon("malformed") as daemon:
        client = daemon.boto3()
        harness.create_stream(client, "s", 1)
        chance = random.Random(3)
        seen, resident = {}, None
        for number in range(10_000):
            if number == 2_000:
                resident = daemon.resident_bytes()
            kind, data = malformed(chance, daemon)
            answer = send(daemon.port + 1, data)
            status = answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/1.1 ") else "closed"
            seen.setdefault(kind, set()).add(status)
            assert answer == b"" or status.isdigit(), (kind, answer[:200])
            assert not status.startswith("2"), (kind, data[:300], answer[:300])
            assert not status.startswith("5") or status == "501" or status == "505", (kind, data[:300], answer[:300])
        grown = daemon.resident_bytes() - resident
        print(f"# {seen}")
        print(f"# resident {resident >> 20} MiB, grown by {grown >> 10} KiB in 8,000 requests")
        assert grown <= 4 << 20, f"memory grew by {grown} bytes"
        assert client.list_streams()["StreamNames"] == ["s"]


def test_malformed_tls():
    """Noise where a TLS handshake should be."""
    with harness.daemon("malformed-tls") as daemon:
        chance = random.Random(4)
        for _ in range(1_000):
            data = chance.choice([chance.randbytes(300), request(), b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
                                  + chance.randbytes(508)])
            answer = send(daemon.port, data)
            assert not answer.startswith(b"HTTP/1.1 2"), answer[:200]
        assert daemon.boto3(tls=True).list_streams()["StreamNames"] == []


harness.run(globals())
