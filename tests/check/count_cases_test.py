"""Goal: no way of a test's ending badly is counted as passed. Method: a project whose tests end in each of these
ways, run by meson, counted by tools/count_cases.py."""
import pathlib
import subprocess
import sys
import tempfile

COUNT = pathlib.Path(__file__).resolve().parents[2] / "tools" / "count_cases.py"
ENDS = {  # name: (command, protocol, must fail)
    "good": ("true", "exitcode", False),
    "tap_good": ("echo 1..1; echo ok 1", "tap", False),
    "bad": ("exit 1", "exitcode", True),
    "hangs": ("sleep 9", "exitcode", True),
    "crashes": ("kill -SEGV $$", "exitcode", True),
    "tap_bad": ("echo 1..2; echo ok 1; echo not ok 2", "tap", True),
    "tap_hangs": ("echo 1..2; echo ok 1; echo ok 2; sleep 9", "tap", True),
    "tap_crashes": ("echo 1..1; echo ok 1; kill -SEGV $$", "tap", True),
    "tap_stops_short": ("echo 1..2; echo ok 1", "tap", True),
}


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        lines = ["project('ends')", "sh = find_program('sh')"]
        for name, (command, protocol, _) in ENDS.items():
            lines.append(f"test('{name}', sh, args: ['-c', '{command}'], protocol: '{protocol}', timeout: 1)")
        (folder / "meson.build").write_text("\n".join(lines) + "\n")
        subprocess.run(["meson", "setup", folder / "build", folder], check=True, capture_output=True)
        subprocess.run(["meson", "test", "-C", folder / "build", "--logbase", "ends"], capture_output=True)
        logs = folder / "build" / "meson-logs"
        counted = subprocess.run([sys.executable, COUNT, logs], capture_output=True, text=True)
    failed = [line for line in counted.stdout.splitlines() if line.startswith("failed: ")]
    for name, (_, _, must_fail) in ENDS.items():
        words = [word.rstrip(":").removeprefix("ends.") for line in failed for word in line.split()]
        if (name in words) != must_fail:
            sys.exit(f"{name} is {'not ' if must_fail else ''}counted as failed:\n{counted.stdout}")
    if counted.returncode == 0:
        sys.exit("failed cases, and a good end")


main()
