"""How much the simulation finds: the product is broken on purpose, in a copy, one fault at a time.

    python3 -m tests.simulation.mutate [NAME...] [--minutes 10] [--jobs 2]

Each file in mutations/ is a patch that puts one fault into the product. Whether and how soon a rule
is broken goes into mutations/found.txt.
"""
from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOME = HERE.parents[1]
PATCHES = HERE / "mutations"
FOUND = PATCHES / "found.txt"
LEFT_OUT = (".git", "__pycache__", "var", "mutations", "docs")


def names() -> list[str]:
    """Of all patches."""
    return sorted(path.stem for path in PATCHES.glob("*.patch"))


def broken(name: str, folder: Path) -> Path:
    """A copy of the project in that folder, with the fault in it; CalledProcessError when the patch
    does not apply."""
    copy = folder / name
    shutil.copytree(HOME, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    subprocess.run(["git", "apply", "--unsafe-paths", f"--directory={copy}",
                    str(PATCHES / f"{name}.patch")], cwd=folder, check=True, capture_output=True,
                   env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder)})
    return copy


def search(name: str, folder: Path, minutes: float) -> tuple[str, float, str]:
    """(name, seconds, the rule that was broken or "")."""
    copy, began = broken(name, folder), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "1", "--days", "45", "--no-shrink",
         "--minutes", str(minutes)], cwd=copy, capture_output=True, text=True)
    seconds = time.monotonic() - began
    shutil.rmtree(copy)
    wrong = next((line for line in done.stdout.splitlines() if line.startswith("WRONG: ")), "")
    if done.returncode and not wrong:
        wrong = "WRONG: the run itself ended: " + done.stderr.strip().splitlines()[-1]
    return name, seconds, wrong[len("WRONG: "):]


def main(argv: list[str]) -> int:
    """Look for all of them, and say which were found."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.simulation.mutate",
                                     description="Breaks the product on purpose, in a copy, and "
                                     "says which faults the simulation finds.")
    parser.add_argument("names", nargs="*", help="of patches (default: all)")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each (default: 10)")
    parser.add_argument("--jobs", type=int, default=2, help="at a time (default: 2)")
    options = parser.parse_args(argv)
    base = "/dev/shm" if os.path.isdir("/dev/shm") else None
    lines = []
    with tempfile.TemporaryDirectory(dir=base) as folder, ThreadPoolExecutor(options.jobs) as pool:
        for name, seconds, wrong in pool.map(
                lambda name: search(name, Path(folder), options.minutes),
                options.names or names()):
            lines.append(f"{name}: " + (f"found after {seconds:.0f} s: {wrong}" if wrong else
                                        f"not found in {seconds:.0f} s"))
            print(lines[-1], flush=True)
    found = sum(": found after" in line for line in lines)
    print(f"{found} of {len(lines)} found")
    if not options.names:
        FOUND.write_text("\n".join(lines) + f"\n\n{found} of {len(lines)} found\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
