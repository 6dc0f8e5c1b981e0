#!/usr/bin/env python3
"""The native protocol: what `penstock bench` measures against a running daemon, and fio beside it.

  bench/native.py BUILD_DIR DATA_DIR [--only ROW ...] [--rounds 7] [--seconds 3]

DATA_DIR: an empty place on a real file system with 60 GB free. penstockd has one data core, on CPU 0, and
the limits off; `penstock bench` is on the last CPU. Each row is a run of its own, with a daemon of its own, and
what a row compares alternates within its rounds. Writes bench/results/native-ROW.json.

Rows: put, redis-100, redis-1024, shards, shards-single, fanout, delivery, catchup, latency, tls. redis needs redis-server.
"""
import argparse
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

from support import carrier, measure, server

DEPTH, BLOCK = 4, 1 << 20  # the journal's: blocks in flight, and what it fills them up to under this load
CLIENT = ("taskset", "-c", str(os.cpu_count() - 1))
REDIS_PORT = 7479
ANSWER_BYTES = 120  # of a batch: a frame with its result
# A producer has eight batches of a shard under way: half a MiB of one shard, which is less than fills the drive.
SHARDS = 16


class Site:
    """A daemon of one row, gone afterwards."""

    def __init__(self, options, data, journal_mib):
        self.options = options
        self.daemon = server.Penstockd(options.build, data / "penstock", journal_mib=journal_mib)

    def __enter__(self):
        self.daemon.start(prefix=("taskset", "-c", "0"))
        self.daemon.wait_for_journal()
        # Once round its tail window, whose memory the kernel gives at the first touch.
        self.arm("--explicit-hash", "--shards", SHARDS)
        return self

    def __exit__(self, *_):
        self.daemon.stop()
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.daemon.directory)], check=True)

    def bench(self, scenario, *arguments, rounds=1, tls=False):
        """The result of `penstock bench`."""
        command = [*CLIENT, self.options.build / "tools" / "penstock" / "penstock", "--dir", self.daemon.directory,
                   "--endpoint", f"http://127.0.0.1:{self.daemon.http}", "--native-endpoint",
                   f"{'tls' if tls else 'tcp'}://localhost:{self.daemon.native}", "-o", "json", "bench", scenario,
                   "--rounds", rounds, "--seconds", self.options.seconds, *arguments]
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if run.returncode != 0:
            raise RuntimeError(f"bench {scenario}: {run.returncode} {run.stderr} {run.stdout[-500:]}")
        return json.loads(run.stdout)

    def arm(self, *arguments, **named):
        """The figures of one round with one arm."""
        result = self.bench("put", *arguments, **named)
        return result["rounds"][0]["arms"][result["arms"][0]]

    def counts(self):
        metrics = self.daemon.metrics()
        return {"written": self.daemon.process_io()["write_bytes"], "blocks": metrics["penstock_journal_blocks_total"],
                "in": metrics["penstock_native_bytes_in_total"], "batches": metrics["penstock_native_batches_total"]}

    def bare_write(self, block_bytes):
        """{p50_us, p99_us} of one durable write at a time, on the server's CPU: between those of the next smaller and the
        next larger size that are measured."""
        run = subprocess.run(["taskset", "-c", "0", self.options.build / "tools" / "penstock" / "penstock", "-o", "json",
                              "bench", "disk", self.daemon.directory.parent, "--rounds", "1", "--seconds", "0.2"],
                             capture_output=True, text=True, check=True)
        arms = json.loads(run.stdout)["rounds"][0]["arms"]
        sizes = sorted((int(words[0]) << (20 if words[1] == "MiB" else 10), figures) for name, figures in arms.items()
                       if (words := name.split())[-1] == "1")
        (low, below), (high, above) = next((pair for pair in itertools.pairwise(sizes) if block_bytes <= pair[1][0]),
                                           sizes[-2:])
        share = min(1, max(0, (block_bytes - low) / (high - low)))
        return {name: below[name] + share * (above[name] - below[name]) for name in ("p50_us", "p99_us")}


def rounds_of(options, arms):
    """Rounds of {arm: figures}, A-B then B-A, and how many were dropped as noisy."""
    rounds = []
    for number in range(options.rounds):
        measure.wait_for_quiet()
        order = list(arms) if number % 2 == 0 else list(arms)[::-1]
        with measure.Others() as others:
            line = {arm: arms[arm]() for arm in order}
        line["others"] = round(others.share, 3)
        print(json.dumps(line), flush=True)
        rounds.append(line)
    quiet = [line for line in rounds if line["others"] <= measure.OTHERS_MAX]
    return rounds, quiet or rounds, bool(quiet)


def row(options, name, kept, quiet, rounds, ratios, **facts):
    figures = {}
    for ratio, (of, target, at_least) in ratios.items():
        value = measure.summary(of(line) for line in kept)
        figures[ratio] = value | {"target": target, "at_least": at_least,
                                  "verdict": measure.verdict(value, target, at_least, quiet)}
        print(ratio, figures[ratio], flush=True)
    measure.write_result(f"native-{name}", {
        "manifest": measure.manifest(options.data, f"bench/native.py build-bench DIR --only {name}",
                                     **facts.pop("versions", {})),
        "cells": 1, "data_cores": 1, "carrier": "TCP on loopback", "figures": figures,
        "rounds_dropped_as_noisy": len(rounds) - len(kept), "every_round_was_noisy": not quiet, "rounds": rounds,
        **facts})


def whole(options, name, result, ratios, **facts):
    """A row that one run of `penstock bench` shows: its own rounds, judged by the same rules."""
    kept = [line["arms"] for line in result["rounds"] if not line["noisy"]] or [line["arms"] for line in result["rounds"]]
    quiet = not all(line["noisy"] for line in result["rounds"])
    row(options, name, kept, quiet, result["rounds"], ratios, load=result["load"],
        verification=result.get("verification", ""), **facts)


def fio(file, mib):
    run = subprocess.run(
        ["fio", "--name=ceiling", f"--filename={file}", "--rw=write", f"--bs={BLOCK}", "--ioengine=io_uring",
         f"--iodepth={DEPTH}", "--direct=1", "--sync=dsync", f"--size={mib}m", "--output-format=json"],
        capture_output=True, text=True, check=True)
    return {"bytes_per_s": json.loads(run.stdout)["jobs"][0]["write"]["bw_bytes"]}


def put(options, data):
    """1 KiB records in batches of 64 KiB for each of 16 shards, against what fio writes."""
    file, mib = data / "fio", 2048
    subprocess.run(["dd", "if=/dev/zero", f"of={file}", "bs=1M", f"count={mib}", "oflag=direct", "conv=fsync"],
                   check=True, capture_output=True)
    with Site(options, data, journal_mib=24 * 1024) as site:
        rounds, kept, quiet = rounds_of(options, {
            "fio": lambda: fio(file, mib), "put": lambda: site.arm("--explicit-hash", "--shards", SHARDS)})
    row(options, "put", kept, quiet, rounds,
        {"payload_to_fio": (lambda line: line["put"]["bytes_per_s"] / line["fio"]["bytes_per_s"], 0.80, True)},
        record_bytes=1024, batch_bytes=65536, shards=SHARDS, fio_block_bytes=BLOCK, depth=DEPTH)


def redis(options, data, record, shards, target):
    """The same records in flight, to as many Redis Streams, which are flushed before each answer."""
    directory = data / "redis"
    directory.mkdir()
    process = subprocess.Popen(
        ["taskset", "-c", "0", "redis-server", "--port", str(REDIS_PORT), "--bind", "127.0.0.1", "--dir", str(directory),
         "--appendonly", "yes", "--appendfsync", "always", "--save", ""], stdout=subprocess.DEVNULL)
    try:
        time.sleep(1)
        with Site(options, data, journal_mib=16 * 1024) as site:
            result = site.bench("put", "--record", record, "--shards", shards, "--in-flight", 16384, "--against",
                                f"redis://127.0.0.1:{REDIS_PORT}", rounds=options.rounds)
    finally:
        process.terminate()
        process.wait()
    ours, theirs = result["arms"]
    whole(options, f"redis-{record}", result,
          {"records_to_redis": (lambda arms: arms[ours]["records_per_s"] / arms[theirs]["records_per_s"], target, True)},
          versions={"redis": measure.first_line("redis-server", "--version")})


def shards(options, data):
    """4,096 shards against 1, with batches that are full at either."""
    with Site(options, data, journal_mib=24 * 1024) as site:
        result = site.bench("shards", "--shards", 4096, "--keys", 40_000, "--linger", 200_000, "--in-flight", 1 << 17,
                            "--batch", 16384, rounds=options.rounds)
    one, many = result["arms"]
    whole(options, "shards", result,
          {"throughput_4096_to_1": (lambda arms: arms[many]["records_per_s"] / arms[one]["records_per_s"], 0.95, True),
           "p99_4096_to_1": (lambda arms: arms[many]["p99_us"] / arms[one]["p99_us"], 1.2, False)})


def shards_single(options, data):
    """A record a batch to each of 4,096 shards, against full batches to 16."""
    with Site(options, data, journal_mib=24 * 1024) as site:
        rounds, kept, quiet = rounds_of(options, {
            "full": lambda: site.arm("--explicit-hash", "--shards", SHARDS),
            "single": lambda: site.arm("--explicit-hash", "--shards", 4096, "--keys", 40_000, "--batch", 1100,
                                       "--linger", 0)})
    row(options, "shards-single", kept, quiet, rounds,
        {"single_to_full": (lambda line: line["single"]["records_per_s"] / line["full"]["records_per_s"], 0.5, True)},
        record_bytes=1024)


def fanout(options, data):
    """Consumers at the end of the stream beside a producer."""
    with Site(options, data, journal_mib=24 * 1024) as site:
        result = site.bench("fanout", "--rate", "20k", "--consumers", "0,1,5,20", rounds=options.rounds)
    arms = result["arms"]
    ratios = {f"producers_with_{arm}": (lambda line, arm=arm: line[arm]["records_per_s"] / line[arms[0]]["records_per_s"],
                                        0.95, True) for arm in arms[1:]}
    ratios["put_to_delivered_p99_to_acknowledged_p99"] = (
        lambda line: line[arms[1]]["delivered_p99_us"] / line[arms[1]]["p99_us"], 2.0, False)
    whole(options, "fanout", result, ratios)


def delivery(options, data):
    """As much as 20 consumers are sent of a stream, against what the carrier alone carries."""
    with Site(options, data, journal_mib=24 * 1024) as site:
        def consumers():
            result = site.bench("fanout", "--rate", "100k", "--consumers", "20")
            return result["rounds"][0]["arms"][result["arms"][0]]
        rounds, kept, quiet = rounds_of(options, {
            "carrier": lambda: carrier.throughput(options.seconds, 0, os.cpu_count() - 1), "delivered": consumers})
    row(options, "delivery", kept, quiet, rounds,
        {"delivered_to_carrier": (lambda line: line["delivered"]["delivered_bytes_per_s"] / line["carrier"]["bytes_per_s"],
                                  0.8, True)}, consumers=20, record_bytes=1024)


def catchup(options, data):
    """Four readers from the horizon beside a producer at half of its most."""
    with Site(options, data, journal_mib=30 * 1024) as site:
        most = site.arm("--explicit-hash")["records_per_s"]
        result = site.bench("catchup", "--rate", int(most / 2), "--readers", 4, "--fill", "1GiB", rounds=options.rounds)
    alone, beside = result["arms"]
    whole(options, "catchup", result,
          {"p99_beside_readers": (lambda arms: arms[beside]["p99_us"] / arms[alone]["p99_us"], 1.25, False)})


def latency(options, data):
    """Open loop at half of the most: acknowledgement at the client, against a bare write of as much and a round trip
    without a server behind it."""
    with Site(options, data, journal_mib=24 * 1024) as site:
        most = site.arm("--explicit-hash")["records_per_s"]

        def load():
            before = site.counts()
            figures = site.arm("--rate", int(most / 2), "--explicit-hash", "--linger", 0)
            counts = {name: value - before[name] for name, value in site.counts().items()}
            return figures | {"block_bytes": round(counts["written"] / counts["blocks"]),
                              "batch_bytes": round(counts["in"] / counts["batches"])}

        seen = load()
        rounds, kept, quiet = rounds_of(options, {
            "put": load,
            "write": lambda: site.bare_write(seen["block_bytes"]),
            "round_trip": lambda: carrier.round_trip(seen["batch_bytes"], ANSWER_BYTES, 1, 0, os.cpu_count() - 1)})

    def ratio(percentile):
        return lambda line: (line["put"][percentile] /
                             (line["write"][percentile] + line["round_trip"][percentile]))
    row(options, "latency", kept, quiet, rounds,
        {"p50_to_write_and_round_trip": (ratio("p50_us"), 1.3, False),
         "p99_to_write_and_round_trip": (ratio("p99_us"), 1.8, False)},
        rate=int(most / 2), of_the_most=0.5, record_bytes=1024, shards=1)


def aead():
    """What sealing alone costs on one CPU, in the records that TLS makes."""
    run = subprocess.run([*CLIENT, "openssl", "speed", "-seconds", "1", "-bytes", "16384", "-evp", "aes-256-gcm"],
                         capture_output=True, text=True, check=True)
    speed = float(re.search(r"AES-256-GCM\s+([0-9.]+)k", run.stdout)[1]) * 1000
    hertz = float(re.search(r"cpu MHz\s*: ([0-9.]+)", pathlib.Path("/proc/cpuinfo").read_text())[1]) * 1e6
    return {"bytes_per_s": speed, "hertz": hertz, "cycles_per_byte": round(hertz / speed, 3)}


def tls(options, data):
    """The same puts, plain and sealed."""
    with Site(options, data, journal_mib=24 * 1024) as site:
        rounds, kept, quiet = rounds_of(options, {
            "plain": lambda: site.arm("--explicit-hash"), "tls": lambda: site.arm("--explicit-hash", tls=True)})
    row(options, "tls", kept, quiet, rounds,
        {"tls_to_plain": (lambda line: line["tls"]["bytes_per_s"] / line["plain"]["bytes_per_s"], 0.0, True)},
        aead=aead(), record_bytes=1024, batch_bytes=65536, shards=1)


ROWS = {
    "put": put,
    "redis-100": lambda options, data: redis(options, data, 100, 4, 20),
    "redis-1024": lambda options, data: redis(options, data, 1024, SHARDS, 10),
    "shards": shards,
    "shards-single": shards_single,
    "fanout": fanout,
    "delivery": delivery,
    "catchup": catchup,
    "latency": latency,
    "tls": tls}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    options.build = options.build.resolve()
    for name in options.only:
        if name.startswith("redis") and not shutil.which("redis-server"):
            print(f"{name}: left out, redis-server is not installed")
            continue
        with measure.scratch(options.data) as data:
            ROWS[name](options, data)


if __name__ == "__main__":
    main()
