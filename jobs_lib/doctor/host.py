"""The program on this machine: whether all of its files are there, and of one version."""
from __future__ import annotations

import hashlib
import os

from jobs_lib.folders import HOME
from jobs_lib.output.findings import problem

FOLDER = os.path.join(HOME, "jobs_lib")
LIST = "modules.txt"        # in there, by `./install.sh bundle`: `SHA-256  path`, as sha256sum
SHOWN = 5                   # files named
AGAIN = "Delete the folders jobs_lib and vendor, so no old file is left, and upload them again."


def modules(installation):
    """All files of the program are there, whole, and of this version."""
    files = {os.path.join(above, name) for above, _, names in os.walk(FOLDER) for name in names
             if name.endswith(".py")}
    try:
        with open(os.path.join(FOLDER, LIST), encoding="ascii") as file:
            listed = [line.split() for line in file]
    except FileNotFoundError:
        yield from map(problem, installation.broken)
        named = "".join(installation.broken)
        yield from _wrong("incomplete", {
            path for path in files if _read(path)[-1:] not in b"\n"
            and os.path.relpath(path, HOME) not in named})
    else:
        expected = {os.path.join(HOME, name): digest for digest, name in listed}
        there = {path for path in expected if os.path.exists(path)}
        yield from _wrong("missing", expected.keys() - there)
        yield from _wrong("damaged, or of another version", {
            path for path in there if hashlib.sha256(_read(path)).hexdigest() != expected[path]})
        yield from _wrong("not of this version", files - expected.keys())


def _read(path: str) -> bytes:
    """A file's bytes, with the line ends that we gave it."""
    with open(path, "rb") as file:
        return file.read().replace(b"\r\n", b"\n")


def _wrong(what: str, paths: set[str]):
    if paths:
        more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
        yield problem(f"{', '.join(sorted(paths)[:SHOWN])}{more}: {what}",
                      "An upload was cut off, or an update was extracted over an earlier version.",
                      AGAIN)


CHECKS = (modules,)
