"""Every command block of README.md does what it says. Blocks of language `sh` are run in order, in one shell
session per heading, in a directory of their own from which deploy/ is seen. A comment before a block says
otherwise: `<!-- not run: reason -->`, or `<!-- run as: command -->`."""
import os
import re
import subprocess

import harness

README = harness.ROOT / "README.md"


def blocks():
    """(heading, commands, reason why they are not run or None) of each command block."""
    heading, found, text = "", [], README.read_text()
    pattern = re.compile(r"^(#+ [^\n]*)$|(?:^<!-- (not run|run as): (.*?) -->\n+)?^```sh\n(.*?)^```$", re.M | re.S)
    for match in pattern.finditer(text):
        if match[1]:
            heading = match[1].lstrip("# ")
        else:
            how, what, commands = match[2], match[3], match[4]
            found.append((heading, what + "\n" if how == "run as" else commands, what if how == "not run" else None))
    return found


def test_every_block_is_a_command_or_marked():
    fences = re.findall(r"^```(\w*)$", README.read_text(), re.M)[::2]
    assert all(language in ("sh", "text", "toml", "json") for language in fences), fences
    assert len(blocks()) == fences.count("sh")
    for heading, commands, reason in blocks():
        print(f"# {heading}: " + (f"not run, {reason}" if reason else f"{len(commands.splitlines())} lines"))


def installed_library():
    """`meson install`, but not into the system; and what pkg-config has to be told of that."""
    root = harness.BUILD / "tests" / "system" / "installed"
    subprocess.run(["meson", "install", "-C", str(harness.BUILD), "--no-rebuild", "--tags", "devel", "--destdir", str(root)],
                   check=True, capture_output=True)
    return {"PKG_CONFIG_SYSROOT_DIR": str(root), "PKG_CONFIG_PATH": str(next(root.rglob("penstock.pc")).parent)}


def test_commands():
    by_heading = {}
    for heading, commands, reason in blocks():
        if reason is None:
            by_heading.setdefault(heading, []).append(commands)
    assert by_heading
    programs = f"{harness.BUILD}/src/server:{harness.BUILD}/tools/penstock"
    # A new machine has none of these, and they go before the files that README names.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {**outside, "AWS_PAGER": "", "ROOT": str(harness.ROOT),
                   "PATH": f"{programs}:/usr/bin:{os.environ['PATH']}",
                   **installed_library()}
    for heading, parts in by_heading.items():
        with harness.scratch("readme") as folder:
            (folder / "deploy").symlink_to(harness.ROOT / "deploy")
            script = "trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n" + "".join(parts)
            done = subprocess.run(["bash", "-eu", "-o", "pipefail", "-c", script], cwd=folder,
                                  env=environment, capture_output=True, text=True, timeout=3000)
        assert done.returncode == 0, f"{heading}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        print(f"# ran: {heading}")


harness.run(globals())
