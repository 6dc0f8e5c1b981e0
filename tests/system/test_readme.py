"""Every command block of README.md does what it says. A block of language `sh` is run, in order, in one shell
session per heading; one that is not run says so in the comment before it: `<!-- not run: reason -->`."""
import os
import re
import subprocess

import harness

README = harness.ROOT / "README.md"


def blocks():
    """(heading, commands, reason why it is not run or None) of each command block."""
    heading, found, text = "", [], README.read_text()
    pattern = re.compile(r"^(#+ .*)$|(?:^<!-- not run: (.*?) -->\n+)?^```sh\n(.*?)^```$", re.M | re.S)
    for match in pattern.finditer(text):
        if match[1]:
            heading = match[1].lstrip("# ")
        else:
            found.append((heading, match[3], match[2]))
    return found


def test_every_block_is_a_command_or_marked():
    fences = re.findall(r"^```(\w*)$", README.read_text(), re.M)[::2]
    assert all(language in ("sh", "text", "toml", "json") for language in fences), fences
    assert len(blocks()) == fences.count("sh")
    for heading, commands, reason in blocks():
        print(f"# {heading}: " + (f"not run, {reason}" if reason else f"{len(commands.splitlines())} lines"))


def test_commands():
    by_heading = {}
    for heading, commands, reason in blocks():
        if reason is None:
            by_heading.setdefault(heading, []).append(commands)
    assert by_heading
    environment = {**os.environ, "AWS_PAGER": "", "PATH": f"{harness.BUILD}/src/server:{harness.BUILD}/tools:"
                   + os.environ["PATH"]}
    for heading, parts in by_heading.items():
        done = subprocess.run(["bash", "-euxo", "pipefail", "-c", "".join(parts)], cwd=harness.ROOT,
                              env=environment, capture_output=True, text=True, timeout=3000)
        assert done.returncode == 0, f"{heading}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        print(f"# ran: {heading}")


harness.run(globals())
