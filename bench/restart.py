#!/usr/bin/env python3
"""From exec to `penstockd ready`, by how much is stored and in what frames.

  bench/restart.py BUILD_DIR DATA_DIR [--sizes 1 4 16]

Large frames: puts of 8 records of 1 MiB. Small frames: 1,024 shards, every record of 200 B a frame of its
own. Restarts after SIGKILL and after SIGTERM, three of each, with the page cache dropped (as root).
DATA_DIR needs a third more than the largest size. Writes bench/results/restart.json.
"""
import argparse
import contextlib
import json
import pathlib
import signal
import statistics

from support import measure, server

TARGET_SECONDS = 2.0
FLAT = 1.5  # the largest against the smallest
RESTARTS = 3
SHARDS = 1024


def hash_in(shard):
    return (shard << 128) // SHARDS + 1


def requests(kind):
    """Bodies that are replayed in turn."""
    if kind == "large frames":
        return [server.put_records("bench", 8, 1 << 20)]
    groups = [range(0, 500), range(500, 1000), range(524, 1024)]
    return [server.put_records("bench", 500, 184, hashes=[hash_in(shard) for shard in group])
            for group in groups]


def restart_seconds(daemon, how):
    daemon.stop(how)
    with contextlib.suppress(OSError):
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    return daemon.start()


def stored(daemon):
    return daemon.metrics()["penstock_journal_written_bytes_total"]


def run(build, data, kind, sizes):
    daemon = server.Penstockd(build, data / "penstock")
    daemon.start()
    client = daemon.client()
    client.create_stream("bench", 1 if kind == "large frames" else SHARDS)
    bodies = requests(kind)
    points, before_restart, written, frames, turn = [], 0, 0, 0, 0
    for size in sizes:
        while before_restart + written < size * 1e9:
            request = client.signed("PutRecords", bodies[turn % len(bodies)])
            # One connection: a turn holds one request, and so a frame one record.
            server.wrk(client, request, data, 2, connections=4 if kind == "large frames" else 1)
            written, turn = stored(daemon), turn + 1
        frames += daemon.metrics()["penstock_journal_frames_total"]
        before_restart += written
        times, recovery = {}, []
        for name, how in (("SIGKILL", signal.SIGKILL), ("SIGTERM", signal.SIGTERM)):
            times[name] = []
            for _ in range(RESTARTS):
                # Something new each time: a restart of nothing is too easy.
                for _ in range(3):
                    client.call("PutRecords", bodies[0])
                times[name].append(round(restart_seconds(daemon, how), 3))
                recovery.append(daemon.metrics()["penstock_recovery_seconds"])
        written = 0
        points.append({"stored_gb": round(before_restart / 1e9, 1), "frames": round(frames),
                       "seconds_to_ready": times, "of_it_recovery": round(max(recovery), 3),
                       "median": round(statistics.median(times["SIGKILL"] + times["SIGTERM"]), 3),
                       "longest": max(times["SIGKILL"] + times["SIGTERM"])})
        print(kind, json.dumps(points[-1]), flush=True)
    daemon.stop()
    return points


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--sizes", type=float, nargs="+", default=[1, 4, 16])
    options = parser.parse_args()
    kinds = {}
    for kind in ("large frames", "small frames"):
        with measure.scratch(options.data) as data:
            points = run(options.build, data, kind, options.sizes)
        longest = max(point["longest"] for point in points)
        flat = points[-1]["median"] <= FLAT * points[0]["median"] + 0.1
        kinds[kind] = {"longest": longest, "target": TARGET_SECONDS, "flat": flat, "points": points,
                       "verdict": "met" if longest <= TARGET_SECONDS and flat else "missed"}
    measure.write_result("restart", {
        "manifest": measure.manifest(options.data, "bench/restart.py build-bench DIR"),
        "cells": 1, "cores": 1, "slot_mib": 256, "kinds": kinds})


if __name__ == "__main__":
    main()
