#!/usr/bin/env python3
"""How long an acknowledgement takes inside the server at half load, against the calibrator: bare
durable writes of the same sizes, one in flight, in turn.

  bench/acknowledge.py BUILD_DIR DATA_DIR [--rounds 9]

Open loop, in process: from the turn that takes a put to its outcome, as a server's time runs from the
last byte read to the reply queued. What a socket, HTTP and JSON add is not in it, nor how late the
generator woke up for a put that was due, which is given as `since_due`. Two loads: puts of 500 records, and lone records. DATA_DIR needs 15 GB. Writes
bench/results/acknowledge.json.
"""
import argparse
import json
import pathlib
import statistics

from support import measure

P50_TARGET, P99_TARGET = 1.6, 2.5
SECONDS = 1.0
LOADS = {
    "500 x 1 KiB a put": {"per_put": 500, "in_flight": 64, "probe_mib": 512},
    "1 x 1 KiB a put": {"per_put": 1, "in_flight": 64, "probe_mib": 32},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    loads = {}
    for name, load in LOADS.items():
        with measure.scratch(options.data) as data:
            bench = measure.Lines(options.build / "bench" / "append_bench", "--dir", data,
                                  "--per-put", load["per_put"], "--in-flight", load["in_flight"],
                                  "--slots", options.rounds * 5 + 10)
            measure.wait_for_quiet()
            most = statistics.median(
                bench.ask(f"fill {load['probe_mib']}")["records_per_second"] for _ in range(3))
            rate = most / load["per_put"] / 2
            rounds = []
            for number in range(options.rounds):
                measure.wait_for_quiet()
                with measure.Others() as others:
                    ours = bench.ask(f"load {rate:.0f} {SECONDS}")
                    bare = bench.ask(f"calibrate {SECONDS}")
                rounds.append({"others": round(others.share, 3), "acknowledged": ours, "bare": bare})
                print(name, json.dumps(rounds[-1]))
            bench.close()
        quiet = [r for r in rounds if r["others"] <= measure.OTHERS_MAX]
        kept = quiet or rounds
        figures = {}
        for percentile, target in (("p50", P50_TARGET), ("p99", P99_TARGET)):
            value = measure.summary(r["acknowledged"][f"{percentile}_us"] / r["bare"][f"{percentile}_us"]
                                    for r in kept)
            figures[f"{percentile}_to_calibrator"] = value | {
                "target": target, "verdict": measure.verdict(value, target, at_least=False, quiet=bool(quiet))}
            for who in ("acknowledged", "bare"):
                figures[f"{percentile}_us_{who}"] = round(
                    statistics.median(r[who][f"{percentile}_us"] for r in kept), 1)
        print(name, json.dumps(figures, indent=1))
        for percentile in ("p50", "p99"):
            figures[f"{percentile}_us_since_due"] = round(
                statistics.median(r["acknowledged"]["since_due"][f"{percentile}_us"] for r in kept), 1)
        loads[name] = {"puts_a_second": round(rate), "of_the_most": 0.5, "figures": figures,
                       "every_round_was_noisy": not quiet,
                       "rounds_dropped_as_noisy": len(rounds) - len(kept), "rounds": rounds}
    measure.write_result("acknowledge", {
        "manifest": measure.manifest(options.data, "bench/acknowledge.py build-bench DIR"),
        "cells": 1, "cores": 1, "shards": 1, "carrier": "none, in process", "depth": 4,
        "idle": "wait", "loads": loads})


if __name__ == "__main__":
    main()
