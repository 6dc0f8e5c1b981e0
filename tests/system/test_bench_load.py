"""`penstock bench` against the real daemon: every scenario gives a whole result, what was acknowledged is read back, and
two servers are compared only if an acknowledgement means the same at both. No figure is judged here: only that it is
there."""
import contextlib
import json
import shutil
import signal
import subprocess
import time

import harness

PENSTOCK = harness.BUILD / "tools" / "penstock" / "penstock"
SHORT = "--rounds", 2, "--seconds", 0.3, "--warmup", 0.1
PUT = {"records_per_s", "bytes_per_s", "p50_us", "p99_us", "p999_us", "max_us", "server_cpu_s_per_million_records",
       "written_bytes_per_payload_byte"}


def run(daemon, *words):
    return subprocess.run([PENSTOCK, "--dir", daemon.directory, "bench", *map(str, words), "-o", "json"],
                          capture_output=True, text=True, timeout=200)


def bench(daemon, *words):
    done = run(daemon, *words)
    assert done.returncode == 0, (done.stderr, done.stdout)
    return json.loads(done.stdout)


def check(result, scenario, arms, figures):
    """Each arm has the figures in each round."""
    assert (result["penstock_bench"], result["scenario"]) == (1, scenario)
    assert result["arms"] == arms, result["arms"]
    rounds = result["rounds"]
    assert rounds and len(rounds) + result["dropped"] == 2
    for one in rounds:
        assert set(one["arms"]) == set(arms)
        for arm, found in one["arms"].items():
            assert figures <= set(found), (arm, figures - set(found))
            assert all(value >= 0 for value in found.values()), found
            if "p50_us" in found:
                assert 0 < found["p50_us"] <= found["p99_us"], found
    assert result["durability"] in ("media", "none")
    for fact in ("cpu", "kernel", "penstock", "date", "command"):
        assert result["manifest"].get(fact), (fact, result["manifest"])


def native(daemon):
    return f"native tls://127.0.0.1:{daemon.port + 2}"


def kinesis(daemon):
    return f"kinesis {daemon.https}"


def test_put():
    with harness.daemon("bench") as daemon:
        result = bench(daemon, "put", *SHORT, "--shards", 3, "--producers", 2, "--record", 200, "--explicit-hash")
        check(result, "put", [native(daemon)], PUT)
        assert "each once, unchanged, those of a key in order" in result["verification"], result
        assert not result["problems"]
        load = result["load"]
        assert (load["record bytes"], load["shards"], load["producers"], load["loop"]) == ("200", "3", "2", "closed")
        assert (load["carrier"], load["cells"], load["data cores"]) == ("TLS", "1", "1"), load
        assert not daemon.boto3().list_streams()["StreamNames"]

        done = run(daemon, "put", *SHORT, "--stream", "absent", "--timeout", "2s")
        assert done.returncode == 3 and "absent" in done.stderr, done


def test_put_without_idempotence():
    with harness.daemon("bench") as daemon:
        result = bench(daemon, "put", *SHORT, "--no-idempotence", "--shards", 2)
        check(result, "put", [native(daemon)], PUT)
        assert "each at least once, unchanged" in result["verification"], result
        assert result["load"]["idempotent"] == "no"


def test_put_into_a_stream_that_others_use():
    with harness.daemon("bench") as daemon:
        client = daemon.boto3()
        harness.create_stream(client, "fleet", 2)
        client.put_record(StreamName="fleet", PartitionKey="bus-1", Data=b"hello")
        result = bench(daemon, "put", *SHORT, "--stream", "fleet")
        assert "each once" in result["verification"] and result["load"]["shards"] == "as they are"
        assert client.list_streams()["StreamNames"] == ["fleet"]


def test_open_loop():
    with harness.daemon("bench") as daemon, harness.scratch("bench-log") as folder:
        log = folder / "put.hlog"
        result = bench(daemon, "put", *SHORT, "--rate", 500, "--hdr", log)
        check(result, "put", [native(daemon)], PUT)
        assert result["load"]["rate"] == "500 records/s" and result["load"]["latency of"] == "every record"
        # 0.4 s of 500 a second, twice.
        assert "400 acknowledged records, 400 read back" in result["verification"] or result["problems"], result
        assert len([line for line in log.read_text().splitlines() if line.startswith("Tag=")]) == 2
        # What no machine can do is told, and is no error.
        result = bench(daemon, "put", *SHORT, "--rate", 1_000_000_000, "--record", 100)
        assert any("fell behind" in problem for problem in result["problems"]), result["problems"]


def test_http():
    with harness.daemon("bench") as daemon:
        result = bench(daemon, "http", *SHORT, "--shards", 2)
        check(result, "http", [kinesis(daemon)], PUT)
        assert "each at least once, unchanged" in result["verification"]
        assert result["load"]["carrier"] == "HTTPS"
        # The same server by two protocols.
        result = bench(daemon, "put", *SHORT, "--against", daemon.http)
        check(result, "put", [native(daemon), f"kinesis {daemon.http}"], PUT)


def test_shards_and_sizes():
    with harness.daemon("bench") as daemon:
        check(bench(daemon, "shards", *SHORT, "--shards", 5), "shards", ["1 shard", "5 shards"], PUT)
        check(bench(daemon, "sizes", *SHORT, "--sizes", "100,10KiB"), "sizes", ["100 B", "10240 B"], PUT)
        done = run(daemon, "sizes", "--sizes", "10")
        assert done.returncode == 2 and "16 to" in done.stderr, done


def test_get():
    with harness.daemon("bench") as daemon:
        figures = {"records_per_s", "bytes_per_s", "server_cpu_s_per_million_records"}
        short = "--rounds", 2, "--fill", "2MiB", "--shards", 2
        for words in ((), ("--pull",), ("--readers", 3)):
            result = bench(daemon, "get", *short, *words)
            check(result, "get", [native(daemon)], figures)
            assert "4,096 acknowledged records, 4,096 read back: each once" in result["verification"], result
        check(bench(daemon, "get", *short, "--target", daemon.https), "get", [kinesis(daemon)], figures)


def test_fanout():
    with harness.daemon("bench") as daemon:
        result = bench(daemon, "fanout", *SHORT, "--rate", 2000, "--consumers", "0,1,3", "--shards", 2)
        check(result, "fanout", ["0 consumers", "1 consumer", "3 consumers"], {"records_per_s", "p50_us", "p99_us"})
        for one in result["rounds"]:
            assert "delivered_p50_us" not in one["arms"]["0 consumers"]
            for arm in "1 consumer", "3 consumers":
                figures = one["arms"][arm]
                assert 0 < figures["delivered_p50_us"] <= figures["delivered_p99_us"], figures
                assert figures["delivered_bytes_per_s"] >= 0


def test_catchup():
    with harness.daemon("bench") as daemon:
        result = bench(daemon, "catchup", *SHORT, "--rate", 2000, "--fill", "2MiB", "--readers", 2)
        check(result, "catchup", ["producer alone", "with 2 from the horizon"], {"records_per_s", "p50_us", "p999_us"})
        for one in result["rounds"]:
            assert one["arms"]["with 2 from the horizon"]["read_bytes_per_s"] >= 0
        assert "each once" in result["verification"]


def test_a_stream_that_goes_is_no_result():
    with harness.daemon("bench") as daemon:
        client = daemon.boto3()
        harness.create_stream(client, "fleet", 1)
        words = [PENSTOCK, "--dir", daemon.directory, "bench", "put", "--stream", "fleet", "--seconds", "3", "--rate", "500"]
        process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        shard = client.list_shards(StreamName="fleet")["Shards"][0]["ShardId"]
        token = client.get_shard_iterator(StreamName="fleet", ShardId=shard,
                                          ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        harness.eventually(lambda: client.get_records(ShardIterator=token)["Records"], what="records of the load")
        client.delete_stream(StreamName="fleet")
        out, error = process.communicate(timeout=200)
        assert process.returncode != 0 and "PS-" in error and not out, (process.returncode, error, out)


def begin(daemon, *words):
    """A run that would go on for long, with a stream of its own that has records."""
    words = [PENSTOCK, "--dir", daemon.directory, "bench", *words]
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    client = daemon.boto3()

    def name():
        assert process.poll() is None, process.communicate()
        names = client.list_streams()["StreamNames"]
        return names[0] if names else None
    stream = harness.eventually(name, what="the stream of the round")
    assert stream.startswith("bench-"), stream
    return process, stream


def test_an_interrupted_run_removes_its_stream():
    with harness.daemon("bench") as daemon:
        for number, words in ((signal.SIGINT, ("put", "--seconds", 60)),
                              (signal.SIGTERM, ("put", "--seconds", 60, "--rate", 5, "--shards", 3)),
                              (signal.SIGINT, ("http", "--seconds", 60)),
                              (signal.SIGTERM, ("get", "--fill", "4GiB")),
                              (signal.SIGINT, ("fanout", "--seconds", 60, "--consumers", 3))):
            process, stream = begin(daemon, *words)
            time.sleep(0.3)
            process.send_signal(number)
            out, error = process.communicate(timeout=20)
            assert process.returncode == 128 + number, (words, process.returncode, error)
            assert "interrupted" in error and stream not in error and not out, (words, error)
            assert not daemon.boto3().list_streams()["StreamNames"], words


def test_an_interrupted_run_leaves_the_stream_that_it_was_given():
    with harness.daemon("bench") as daemon:
        client = daemon.boto3()
        harness.create_stream(client, "fleet", 1)
        words = [PENSTOCK, "--dir", daemon.directory, "bench", "put", "--stream", "fleet", "--seconds", "60"]
        process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        assert process.returncode == 130
        assert client.list_streams()["StreamNames"] == ["fleet"]


def test_a_second_signal_ends_a_run_at_once():
    with harness.daemon("bench") as daemon:
        process, stream = begin(daemon, "put", "--seconds", 60)
        daemon.process.send_signal(signal.SIGSTOP)  # who could remove it stands still
        try:
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
            assert process.poll() is None
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            _, error = process.communicate(timeout=20)
            assert time.monotonic() - begun < 3, "it went on"
            assert process.returncode == 130 and f"stream '{stream}' is left behind" in error, (process.returncode, error)
        finally:
            daemon.process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def redis(folder, *settings):
    """redis://…, of a server of its own."""
    if not shutil.which("redis-server"):
        harness.skip("redis-server is not installed")
    port = harness.free_port_base()
    process = subprocess.Popen(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "",
                                *settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers():
        assert process.poll() is None, "redis-server has ended"
        return subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True).stdout == b"PONG\n"
    try:
        harness.eventually(answers, what="redis-server answers")
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_redis():
    always = "--appendonly", "yes", "--appendfsync", "always"
    with harness.daemon("bench") as daemon, harness.scratch("redis") as folder:
        with redis(folder, *always) as url:
            if "durability=media" not in daemon.log():
                harness.skip("the build directory's file system keeps nothing over a power cut", optional=True)
            result = bench(daemon, "put", *SHORT, "--shards", 3, "--against", url)
            check(result, "put", [native(daemon), url], PUT - {"written_bytes_per_payload_byte"})
            assert result["durability"] == "media"
            assert f"{url}: " in result["verification"] and "each at least once" in result["verification"]
            result = bench(daemon, "get", "--rounds", 2, "--fill", "1MiB", "--shards", 2, "--target", url)
            check(result, "get", [url], {"records_per_s"})
            def left():
                return subprocess.run(["redis-cli", "-u", url, "dbsize"], capture_output=True, text=True).stdout.strip()
            assert left() == "0", left()
            words = [PENSTOCK, "--dir", daemon.directory, "bench", "put", "--seconds", "60", "--target", url]
            process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            harness.eventually(lambda: left() == "1", what="records of the load")
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)
            assert process.returncode == 130 and left() == "0", (process.returncode, left())
        for settings, durability in ((("--appendonly", "yes", "--appendfsync", "everysec"), "1 s"),
                                     (("--appendonly", "no"), "none"),
                                     ((*always, "--no-appendfsync-on-rewrite", "yes"), "none")):
            with redis(folder, *settings) as url:
                done = run(daemon, "put", *SHORT, "--against", url)
                assert done.returncode == 6 and "PS-5010" in done.stderr, done
                assert durability in done.stderr and "media" in done.stderr, done.stderr
                assert not done.stdout
    with harness.daemon("bench") as daemon:
        done = run(daemon, "put", *SHORT, "--against", f"redis://127.0.0.1:{daemon.port + 50}")
        assert done.returncode == 4 and "PS-5002" in done.stderr, done


def test_what_is_not_understood_is_told():
    with harness.daemon("bench") as daemon:
        for words, part in ((("put", "--target", "ftp://x"), "redis://HOST:PORT"),
                            (("put", "--rate", "fast"), "records a second"),
                            (("put", "--record", "8"), "16 to"),
                            (("get", "--fill", "much"), "--fill"),
                            (("put", "--target", "redis://u:p@h:1"), "without a password")):
            done = run(daemon, *words)
            assert done.returncode == 2 and part in done.stderr, done


harness.run(globals())
