"""Each header of include/, src/ and drivers/ compiles alone, with the flags of its own module.

    check_headers.py BUILD_DIRECTORY

Flags come from the build directory's compile_commands.json: of a source in the header's folder, else of any
other source that compiles with its module in view.
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DROPPED = {"-c", "-MD", "-g"}
DROPPED_WITH_VALUE = {"-o", "-MQ", "-MF"}


def flags_by_folder(build):
    """Folder of a source -> compiler and flags, without input, output and optimisation."""
    flags = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = (build / entry["file"]).resolve()
        words, kept = iter(shlex.split(entry["command"])), []
        for word in words:
            if word in DROPPED_WITH_VALUE:
                next(words)
            elif word not in DROPPED and not word.startswith(("-O", "-fsanitize", "-fdiagnostics-color")) and word != entry["file"]:
                kept.append(word)
        flags.setdefault(source.parent, kept)
    return flags


def flags_for(header, flags):
    nearest = max(flags, key=lambda folder: (len(os.path.commonpath([folder, header])), len(flags[folder])))
    return flags.get(header.parent, flags[nearest])


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    flags = flags_by_folder(build)
    headers = sorted(path for top in ("include", "src", "drivers") for path in (ROOT / top).rglob("*.h"))

    def compile_alone(header):
        command = flags_for(header, flags) + ["-fsyntax-only", "-x", "c++", "-include", str(header), os.devnull]
        done = subprocess.run(command, cwd=build, capture_output=True, text=True)
        return f"{header.relative_to(ROOT)} does not compile alone:\n{done.stderr}" if done.returncode else None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = [failure for failure in pool.map(compile_alone, headers) if failure]
    print("\n".join(failures) or f"headers: {len(headers)} compile alone")
    return 1 if failures else 0


sys.exit(main())
