"""Checks every #include under include/, src/ and drivers/ against the layer table of ARCHITECTURE.md.

A row of the table is `| layer | `module` | responsibility | sees |`. A numbered module sees the modules of
lower layers and itself; one whose layer is a dash sees what its last column names. drivers/<kind>/ sees its
own folder and what the row `drivers` names; a module sees a driver only where its row says `drivers`.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def table():
    """Module -> (layer or None, the modules its last column names)."""
    rows = {}
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for layer, module, sees in re.findall(r"^\| *(\d+|–) *\| `(\w+)` \|.*\|([^|\n]*)\|$", text, re.M):
        rows[module] = (int(layer) if layer != "–" else None, set(re.findall(r"`([\w/]+)`", sees)))
    return rows


def module_of(path):
    """The module a file or an included path belongs to; None for the public headers and other libraries."""
    parts = pathlib.PurePath(path).parts
    parts = parts[1:] if parts[0] == "src" else parts
    if parts[0] == "drivers" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0] if len(parts) > 1 and parts[0] not in ("include", "penstock") else None


def allowed(user, used, rows):
    if used is None or used == user or used.split("/")[0] not in {**rows, "tests": 0, "tools": 0, "bench": 0}:
        return True
    layer, sees = rows.get(user.split("/")[0] if user else "", (-1, set()))
    if used in sees or used.split("/")[0] in sees:
        return True
    return layer is not None and used in rows and rows[used][0] is not None and rows[used][0] < layer


def main():
    rows, wrong = table(), []
    folders = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
    wrong += [f"src/{name}: not in ARCHITECTURE.md's layer table" for name in sorted(folders - set(rows))]
    wrong += [f"ARCHITECTURE.md: no folder for `{name}`" for name in sorted(set(rows) - folders - {"drivers"})]
    for file in sorted(path for top in ("include", "src", "drivers") for path in (ROOT / top).rglob("*.[hc]*")):
        name = str(file.relative_to(ROOT))
        for number, line in enumerate(file.read_text().splitlines(), 1):
            used = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if used and not allowed(module_of(name), module_of(used[1]), rows):
                wrong.append(f"{name}:{number}: includes {used[1]}, which its layer does not see")
    print("\n".join(wrong) or f"layers: {len(rows)} modules as drawn")
    return 1 if wrong else 0


sys.exit(main())
