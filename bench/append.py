#!/usr/bin/env python3
"""Durable append in process against what fio writes: same file system, pre-written files, the same
block size and depth, in turn.

  bench/append.py BUILD_DIR DATA_DIR [--rounds 9] [--mib 2048] [--in-flight 64]

DATA_DIR: an empty place on a real file system with 60 GB free. Writes bench/results/append.json.
"""
import argparse
import json
import pathlib
import subprocess

from support import measure

PAYLOAD_TARGET, SHARDS_TARGET = 0.85, 0.95
DEPTH = 4
# 500 records each. With 1,024 shards a put ends with the last of the many blocks its records lie in:
# with few puts in flight all end together, and the pipeline may run empty in between.
IN_FLIGHT = 64
KEPT = ("payload_mb_per_second", "written_mb_per_second", "records_per_second", "block_bytes",
        "frames", "seconds", "cpu_seconds")


def fio(file, block_bytes, mib):
    """Bytes a second of fio, over the whole file once."""
    run = subprocess.run(
        ["fio", "--name=ceiling", f"--filename={file}", "--rw=write", f"--bs={block_bytes}",
         "--ioengine=io_uring", f"--iodepth={DEPTH}", "--direct=1", "--sync=dsync",
         f"--size={mib}m", "--output-format=json"],
        capture_output=True, text=True, check=True)
    return json.loads(run.stdout)["jobs"][0]["write"]["bw_bytes"]


def both(first, second):
    """Two runs of one arm as one."""
    seconds = first["seconds"] + second["seconds"]
    summed = ("frames", "seconds", "cpu_seconds")
    return {key: round(first[key] + second[key] if key in summed
                       else (first[key] * first["seconds"] + second[key] * second["seconds"]) / seconds, 4)
            for key in first}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT)
    options = parser.parse_args()
    half = options.mib // 2
    with measure.scratch(options.data) as data:
        file = data / "fio"
        subprocess.run(["dd", "if=/dev/zero", f"of={file}", "bs=1M", f"count={half}", "oflag=direct",
                        "conv=fsync"], check=True, capture_output=True)
        program = options.build / "bench" / "append_bench"
        slots = (options.rounds + 1) * options.mib * 11 // 10 // 256 + 3
        arms = {shards: measure.Lines(program, "--dir", data / str(shards), "--shards", shards,
                                      "--slots", slots, "--depth", DEPTH,
                                      "--in-flight", options.in_flight)
                for shards in (1, 1024)}
        block = 0
        for arm in arms.values():  # warms up, and says what fio is to write
            block = arm.ask(f"fill {options.mib // 2}")["block_bytes"]
        block = round(block / 4096) * 4096
        rounds, dropped = [], 0
        for number in range(options.rounds):
            measure.wait_for_quiet()
            order = ["fio", 1, 1024] if number % 2 == 0 else [1024, 1, "fio"]
            got = {arm: [] for arm in order}
            with measure.Others() as others:
                for arm in order + order[::-1]:
                    if arm == "fio":
                        rate = fio(file, block, half)
                        got[arm].append({"fio_mb_per_second": rate / 1e6, "seconds": half * 2**20 / rate})
                    else:
                        answer = arms[arm].ask(f"fill {half}")
                        got[arm].append({key: answer[key] for key in KEPT})
            line = {"fio_mb_per_second": round(both(*got["fio"])["fio_mb_per_second"], 1),
                    "others": round(others.share, 3)}
            for shards in (1, 1024):
                line[f"shards_{shards}"] = both(*got[shards])
            print(json.dumps(line))
            dropped += others.too_much
            rounds.append(line)
        for arm in arms.values():
            arm.close()
    quiet = [line for line in rounds if line["others"] <= measure.OTHERS_MAX]
    kept = quiet or rounds

    def ratio(numerator, denominator):
        return measure.summary(numerator(line) / denominator(line) for line in kept)

    def payload(shards):
        return lambda line: line[f"shards_{shards}"]["payload_mb_per_second"]

    def written(shards):
        return lambda line: line[f"shards_{shards}"]["written_mb_per_second"]

    def ceiling(line):
        return line["fio_mb_per_second"]

    figures = {}
    for name, value, target in (
            ("payload_1_shard_to_fio", ratio(payload(1), ceiling), PAYLOAD_TARGET),
            ("payload_1024_shards_to_fio", ratio(payload(1024), ceiling), PAYLOAD_TARGET),
            ("payload_1024_shards_to_1", ratio(payload(1024), payload(1)), SHARDS_TARGET)):
        figures[name] = value | {"target": target, "verdict": measure.verdict(value, target, quiet=bool(quiet))}
    figures["written_1_shard_to_fio"] = ratio(written(1), ceiling)
    figures["written_1024_shards_to_fio"] = ratio(written(1024), ceiling)
    figures["written_1024_shards_to_1"] = ratio(written(1024), written(1))
    for name, value in figures.items():
        print(name, value)
    suffix = "" if options.in_flight == IN_FLIGHT else f"-{options.in_flight}-in-flight"
    measure.write_result(f"append{suffix}", {
        "manifest": measure.manifest(options.data, f"bench/append.py build-bench DIR --in-flight {options.in_flight}",
                                     fio=measure.first_line("fio", "--version")),
        "cells": 1, "cores": 1, "carrier": "none, in process", "record_bytes": 1024,
        "records_a_put": 500, "puts_in_flight": options.in_flight, "depth": DEPTH, "fio_block_bytes": block,
        "figures": figures, "rounds_dropped_as_noisy": dropped if quiet else 0,
        "every_round_was_noisy": not quiet, "rounds": rounds})


if __name__ == "__main__":
    main()
