#!/usr/bin/env python3
"""PutRecords against kinesalite 3.3.3 in memory: wrk replays one signed request to each in turn.

  bench/compare_kinesalite.py BUILD_DIR DATA_DIR [--rounds 7] [--seconds 3]

penstockd keeps every record on the device before it answers (D2), kinesalite in its memory (D0). Both
start anew in every round, because kinesalite slows down with what it holds, and take WARM_UP seconds
of the same load before what is measured: the one touches its tail window for the first time in them,
the other compiles itself. kinesalite comes from npm into DATA_DIR. Server on CPU 0, wrk on the last.
Writes bench/results/kinesalite.json.
"""
import argparse
import json
import pathlib
import socket
import subprocess
import time

from support import measure, server

CASES = {"500 x 100 B": (100, 30), "500 x 1 KiB": (1024, 15)}
SHARDS = 4
KINESALITE_PORT = 7450
WARM_UP = 3  # seconds


def install(directory):
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", directory,
                    "kinesalite@3.3.3"], check=True, stdout=subprocess.DEVNULL)
    return directory / "node_modules" / "kinesalite" / "cli.js"


def load(client, data, data_bytes, seconds, target):
    """Records a second."""
    client.create_stream("bench", SHARDS)
    body = server.put_records("bench", 500, data_bytes)
    answer = client.call("PutRecords", body)
    if answer["FailedRecordCount"] != 0:
        raise RuntimeError(f"{target} refuses records")
    request = client.signed("PutRecords", body)
    server.wrk(client, request, data, WARM_UP, prefix=("taskset", "-c", "1"))
    return 500 * server.wrk(client, request, data, seconds, prefix=("taskset", "-c", "1"))


def penstock_round(build, data, data_bytes, seconds):
    daemon = server.Penstockd(build, data / "penstock", journal_mib=1024 + (WARM_UP + seconds) * 1200)
    daemon.start(prefix=("taskset", "-c", "0"))
    try:
        daemon.wait_for_journal()
        rate = load(daemon.client(), data, data_bytes, seconds, "penstockd")
        metrics = daemon.metrics()
        stored = metrics["penstock_kinesis_acknowledged_records_total"]
        if metrics["penstock_kinesis_failed_records_total"] or stored < 0.95 * rate * seconds:
            raise RuntimeError(f"penstockd refused records: {metrics}")
        return rate
    finally:
        daemon.stop()
        subprocess.run(["rm", "-rf", "--one-file-system", str(daemon.directory)], check=True)


def kinesalite_round(program, data, data_bytes, seconds):
    process = subprocess.Popen(["taskset", "-c", "0", "node", program, "--port", str(KINESALITE_PORT),
                                "--createStreamMs", "10"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", KINESALITE_PORT)) == 0:
                    break
            time.sleep(0.05)
        return load(server.Client(KINESALITE_PORT), data, data_bytes, seconds, "kinesalite")
    finally:
        process.kill()
        process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    cases = {}
    with measure.scratch(options.data) as data:
        program = install(data)
        for name, (data_bytes, target) in CASES.items():
            rounds = []
            for number in range(options.rounds):
                measure.wait_for_quiet()
                got = {}
                with measure.Others() as others:
                    for who in ("penstock", "kinesalite")[:: 1 if number % 2 == 0 else -1]:
                        if who == "penstock":
                            got[who] = penstock_round(options.build, data, data_bytes,
                                                      options.seconds)
                        else:
                            got[who] = kinesalite_round(program, data, data_bytes, options.seconds)
                rounds.append({"others": round(others.share, 3),
                               "penstock_records_per_second": round(got["penstock"]),
                               "kinesalite_records_per_second": round(got["kinesalite"]),
                               "ratio": round(got["penstock"] / got["kinesalite"], 1)})
                print(name, json.dumps(rounds[-1]))
            quiet = [r for r in rounds if r["others"] <= measure.OTHERS_MAX]
            kept = quiet or rounds
            value = measure.summary((r["ratio"] for r in kept), 1)
            cases[name] = value | {"target": target, "verdict": measure.verdict(value, target, quiet=bool(quiet)),
                                   "every_round_was_noisy": not quiet,
                                   "rounds_dropped_as_noisy": len(rounds) - len(kept),
                                   "every_round": rounds}
            print(name, value)
    measure.write_result("kinesalite", {
        "manifest": measure.manifest(
            options.data, "bench/compare_kinesalite.py build-bench DIR", kinesalite="3.3.3",
            node=measure.first_line("node", "--version"), wrk="4.1.0"),
        "cells": 1, "cores": 1, "carrier": "HTTP/1.1, plain, SigV4", "shards": SHARDS,
        "connections": 16, "in_flight_a_connection": 1, "seconds": options.seconds, "warm_up_seconds": WARM_UP, "cases": cases})


if __name__ == "__main__":
    main()
