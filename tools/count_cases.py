"""Sums the cases of a test run: JUnit files and the list of stages in one directory.

Names what failed and what was skipped; the last line is `N passed, N failed, N skipped`.
Ends non-zero if anything failed or nothing ran.
"""
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
        # meson copies what a test printed as it is; XML knows no control characters.
        text = re.sub(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", b"", file.read_bytes())
        for case in ElementTree.fromstring(text).iter("testcase"):
            kinds = {child.tag for child in case}
            skipped = "skipped" in kinds or case.get("status") == "notrun"
            outcome = "failed" if kinds & {"failure", "error"} else "skipped" if skipped else "passed"
            yield outcome, f"{file.name.split('.')[0]}: {case.get('classname', '')} {case.get('name')}"


def main():
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for outcome, name in cases(pathlib.Path(sys.argv[1])):
        counts[outcome] += 1
        if outcome != "passed":
            print(f"{outcome}: {name}")
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts["failed"] or not counts["passed"] else 0


sys.exit(main())
