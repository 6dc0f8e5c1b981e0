#!/usr/bin/env python3
"""Instructions per record, decoded request to acknowledgement, by callgrind; fails when a scenario
costs more than its baseline in bench/results/instructions.json allows.

  bench/instruction_gate.py BUILD_DIR            compare
  bench/instruction_gate.py BUILD_DIR --record   write the baseline (a commit of its own that says so)
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

BASELINE = pathlib.Path(__file__).parent / "results" / "instructions.json"
ALLOWED = 1.03  # callgrind repeats to the instruction; this is for other patch levels of the compiler
SCENARIOS = {
    "100 B, 1 shard, 500 a put": ["--record", "116", "--shards", "1"],
    "1 KiB, 1 shard, 500 a put": ["--record", "1024", "--shards", "1"],
    "100 B, 64 shards, 500 a put": ["--record", "116", "--shards", "64"],
}
ROUNDS = 100


def measure(program, arguments):
    """Instructions in `measured`, all rounds, per record."""
    with tempfile.TemporaryDirectory() as scratch:
        out = f"{scratch}/callgrind.out"
        subprocess.run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=penstock::bench::measured*",
             f"--callgrind-out-file={out}", program, *arguments, "--rounds", str(ROUNDS)],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        text = pathlib.Path(out).read_text()
    total = int(re.search(r"^(?:totals|summary): (\d+)", text, re.M).group(1))
    return total / (ROUNDS * 500)


def main():
    build = pathlib.Path(sys.argv[1])
    record = "--record" in sys.argv[2:]
    measured = {name: round(measure(str(build / "bench" / "record_cost"), arguments), 1)
                for name, arguments in SCENARIOS.items()}
    if record:
        BASELINE.write_text(json.dumps(measured, indent=2) + "\n")
    baseline = json.loads(BASELINE.read_text())
    failed = False
    for name, cost in measured.items():
        over = cost > baseline[name] * ALLOWED
        failed |= over
        print(f"{name}: {cost} instructions a record, baseline {baseline[name]}"
              f"{'  TOO MANY' if over else ''}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
