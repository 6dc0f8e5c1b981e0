"""Sums the cases of a test run: meson's JUnit and JSON files and the list of stages in one directory.

The JUnit file has the cases. The JSON file has each program's own end: one that crashed, hung or stopped short of
its plan counts as a failed case, which the JUnit file may not tell.

Names what failed and what was skipped; the last line is `N passed, N failed, N skipped`.
Ends non-zero if anything failed or nothing ran.
"""
import json
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree


def cases(directory):
    """Yields (outcome, name) of each case."""
    stages = directory / "stages"
    for line in stages.read_text().splitlines() if stages.exists() else []:
        outcome, name = line.split("\t")
        yield outcome, name
    for file in sorted(directory.glob("*.junit.xml")):
        run = file.name.removesuffix(".junit.xml")
        failed_programs = set()
        # meson copies what a test printed as it is; XML knows no control characters.
        text = re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", b"", file.read_bytes())
        for suite in ElementTree.fromstring(text).iter("testsuite"):
            for case in suite.iter("testcase"):
                kinds = {child.tag for child in case}
                skipped = "skipped" in kinds or case.get("status") == "notrun"
                outcome = "failed" if kinds & {"failure", "error"} else "skipped" if skipped else "passed"
                if outcome == "failed":
                    failed_programs |= {suite.get("name", ""), case.get("name", "")}
                yield outcome, f"{run}: {case.get('classname', '')} {case.get('name')}"
        for line in file.with_name(run + ".json").read_text().splitlines():
            program = json.loads(line)
            told = any(program["name"] in failed for failed in failed_programs)
            if program["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and not told:
                yield "failed", f"{run}: {program['name']}: {program['result']}"


def main():
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for outcome, name in cases(pathlib.Path(sys.argv[1])):
        counts[outcome] += 1
        if outcome != "passed":
            print(f"{outcome}: {name}")
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts["failed"] or not counts["passed"] else 0


sys.exit(main())
