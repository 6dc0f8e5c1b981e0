#!/usr/bin/env python3
"""Instructions per record, decoded request to frame in the block and on to the answer, by callgrind;
fails when one costs more than the baseline allows, and names the functions that grew. Fails also when
the simulation of the whole server has become slow.

  bench/instruction_gate.py BUILD_DIR              compare
  bench/instruction_gate.py BUILD_DIR --record     write bench/baseline.json (a commit that says why)
  bench/instruction_gate.py BUILD_DIR --only 500   those whose name contains it

BUILD_DIR is a release tree (tools/presets/release.ini, g++): the programs are built in it first.
Valgrind shows programs the same CPU wherever the real one has AVX2, so what chooses its code by CPUID
(MD5, CRC, memcpy) is the same code everywhere. glibc is told not to use `rep stosb` and `rep movsb`,
which count as one instruction a byte.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

BASELINE = pathlib.Path(__file__).parent / "baseline.json"
# It repeats to the instruction; this is for other patch levels of compiler and libraries.
ALLOWED_PERCENT = 3
# A second of CPU time, over ten seeds: 110 on the machine of bench/results, whose target is 100. Slower
# CPUs, and neighbours in the same caches, are to pass: a gate may not fail for them.
SIMULATED_SECONDS_MIN = 60
# Functions of the programs in bench/endtoend.
PHASES = {"record_cost": ("placing", "settling"), "native_cost": ("serving",)}
FUNCTIONS_KEPT = 12
NO_REP = ":".join(f"glibc.cpu.x86_rep_{kind}_threshold=0x40000000" for kind in ("movsb", "stosb"))
SCENARIOS = {
    "1 x 100 B alone": ["--per-put", "1"],
    "1 x 1 KiB alone": ["--per-put", "1", "--record", "1040"],
    "1 x 100 B, 64 calls a turn": ["--per-put", "1", "--in-flight", "64"],
    "500 x 100 B": [],
    "500 x 100 B, MD5": ["--md5", "1"],
    "500 x 1 KiB": ["--record", "1040"],
    "500 x 100 B, 64 shards": ["--shards", "64"],
    "500 x 100 B, 1024 shards": ["--shards", "1024", "--in-flight", "2"],
}
# The whole server's, on the native protocol.
NATIVE_SCENARIOS = {
    "native, batch of 500 x 100 B": [],
    "native, batch of 500 x 100 B, MD5": ["--md5", "1"],
    "native, batch of 64 x 1 KiB": ["--record", "1040", "--per-batch", "64"],
    "native, batches of 1 x 100 B, 64 shards": ["--per-batch", "1", "--shards", "64", "--in-flight", "64"],
}


def self_cost(profile):
    """Self cost by function, of a callgrind file written with --compress-strings=no."""
    costs = collections.Counter()
    function, inside_call = "", False
    for line in profile.splitlines():
        if line.startswith("fn="):
            function = line[3:]
        elif line.startswith("calls="):
            inside_call = True  # the next line is what the callee cost
        elif re.match(r"[\d+*-]\S* \d+$", line):
            if not inside_call:
                costs[function] += int(line.split()[1])
            inside_call = False
    return costs


def callgrind(program, arguments, toggle=None):
    """(what it printed, self cost by function) of what runs inside the functions `toggle`, or of all."""
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(scratch) / "profile"
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", *([f"--toggle-collect={toggle}"] if toggle else []),
             "--compress-strings=no", "--compress-pos=no", f"--callgrind-out-file={out}", program, *arguments],
            capture_output=True, text=True, env=os.environ | {"GLIBC_TUNABLES": NO_REP})
        if run.returncode != 0:
            sys.exit(f"instruction gate: {program} failed under valgrind:\n{run.stdout}{run.stderr}")
        profile = out.read_text()
    costs = self_cost(profile)
    total = int(re.search(r"^(?:totals|summary): (\d+)", profile, re.M).group(1))
    if sum(costs.values()) != total:
        sys.exit(f"instruction gate: {sum(costs.values())} instructions by function, {total} in all")
    return run.stdout, costs


def short(function):
    """A function's name without its parameters, which make lines long."""
    return re.sub(r"\(.*", "", function.split("'")[0].replace("(anonymous namespace)::", ""))


def per_unit(costs, units):
    """{"instructions": per unit, "functions": {name: per unit}}"""
    functions = collections.Counter()
    for function, cost in costs.items():
        functions[short(function)] += cost
    return {"instructions": round(sum(costs.values()) / units, 1),
            "functions": {name: round(cost / units, 1)
                          for name, cost in functions.most_common(FUNCTIONS_KEPT)}}


def measure_records(build, program, arguments):
    """{phase: cost per record}"""
    phases = {}
    for phase in PHASES[program]:
        printed, costs = callgrind(str(build / "bench" / program), arguments,
                                   f"penstock::bench::{phase}*")
        phases[phase] = per_unit(costs, json.loads(printed)["records"])
    return phases


def simulation_too_slow(build):
    """Prints how fast virtual time passes; True below the minimum. Not in instructions, because the same
    seed has another history, and another cost, after every change. Without native clients, which some of the
    usual worlds have, and which cost more than what they are measured by."""
    def cpu_seconds():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime
    before = cpu_seconds()
    run = subprocess.run([build / "tests" / "sim" / "sim_seeds", "--kinesis", "--from", "1", "--seeds", "10"],
                         capture_output=True, text=True)
    seconds = re.search(r"(\d+) simulated seconds", run.stdout)
    if run.returncode != 0 or not seconds:
        print(f"simulation: failed\n{run.stdout}{run.stderr}")
        return True
    speed = round(int(seconds[1]) / (cpu_seconds() - before))
    slow = speed < SIMULATED_SECONDS_MIN
    print(f"simulation: {speed} simulated seconds a second of CPU time, at least {SIMULATED_SECONDS_MIN}"
          f"{'  TOO SLOW' if slow else ''}")
    return slow


def grown(now, before):
    """The functions that cost more than in the baseline, worst first."""
    rises = {name: cost - before.get(name, 0) for name, cost in now.items()}
    return sorted(((rise, name) for name, rise in rises.items() if rise > 0.05), reverse=True)


def compare(name, now, before):
    """Prints a line for each phase; True when one costs too much."""
    failed = False
    for phase, cost in now.items():
        if before is None or phase not in before:
            print(f"{name}, {phase}: {cost['instructions']}, NO BASELINE")
            failed = True
            continue
        was = before[phase]["instructions"]
        percent = 100 * (cost["instructions"] / was - 1)
        over = percent > ALLOWED_PERCENT
        failed |= over
        note = "  TOO MANY" if over else "  cheaper: record it" if percent < -ALLOWED_PERCENT else ""
        print(f"{name}, {phase}: {cost['instructions']} instructions a record, "
              f"baseline {was} ({percent:+.1f} %){note}")
        for rise, function in grown(cost["functions"], before[phase]["functions"])[:5] if over else []:
            print(f"    {rise:+8.1f}  {function}")
    return failed


def version(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if " avx2 " not in pathlib.Path("/proc/cpuinfo").read_text():
        sys.exit("instruction gate: this CPU has no AVX2, so other code would run than the baseline's")
    programs = [*(f"bench/{program}" for program in PHASES), "tests/sim/sim_seeds"]
    if subprocess.run(["ninja", "-C", options.build, *programs]).returncode != 0:
        return 1
    measured = {name: measure_records(options.build, program, arguments)
                for program, scenarios in (("record_cost", SCENARIOS), ("native_cost", NATIVE_SCENARIOS))
                for name, arguments in scenarios.items() if options.only in name}
    made_with = {"compiler": version("c++", "--version"), "valgrind": version("valgrind", "--version")}
    if options.record:
        scenarios = measured
        if options.only and BASELINE.exists():
            scenarios = json.loads(BASELINE.read_text())["scenarios"] | measured
        BASELINE.write_text(json.dumps({"made_with": made_with, "scenarios": scenarios}, indent=1) + "\n")
    baseline = json.loads(BASELINE.read_text())
    if baseline["made_with"] != made_with:
        print(f"the baseline was made with {baseline['made_with']}, this is {made_with}")
    results = [compare(name, cost, baseline["scenarios"].get(name)) for name, cost in measured.items()]
    results.append(simulation_too_slow(options.build))
    return 1 if any(results) else 0


if __name__ == "__main__":
    sys.exit(main())
