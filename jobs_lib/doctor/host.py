"""The program on this machine: which Python runs it, as which user, and whether all of its files
are of one version."""
from __future__ import annotations

import hashlib
import os
import sys

import jobs_lib
from jobs_lib.folders import VERSION
from jobs_lib.output.findings import ok, problem, run, warning
from jobs_lib.runner.access import as_owner

LIST = "modules.txt"        # in jobs_lib, by `./install.sh bundle`: `SHA-256  path`, as sha256sum
SHOWN = 5                   # files named
AGAIN = "Delete the folders jobs_lib and vendor, so that no old file stays, and upload them again."


def program(installation):
    """Which Python runs this."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield ok(f"jobs.py {VERSION}, Python {version} ({sys.executable})")


def user(installation):
    """Root sees nothing of what the user of the cron line may not do."""
    if command := as_owner(installation.config, "doctor"):
        yield warning("This is root, and the installation belongs to another user",
                      "What root runs leaves files that the jobs of that user cannot use.",
                      run("Run everything as that user:", command))


def modules(installation):
    """All files of the program are there, whole, and of this version."""
    folder = jobs_lib.__path__[0]
    files = [os.path.join(above, name) for above, _, names in os.walk(folder) for name in names
             if name.endswith(".py")]
    try:
        with open(os.path.join(folder, LIST), encoding="ascii") as file:
            listed = dict(line.split()[::-1] for line in file)
    except FileNotFoundError:
        cut = [path for path in files if not (_read(path) or b"\n").endswith(b"\n")]
        yield from _wrong("cut off", cut)
    else:
        home = os.path.dirname(folder)
        expected = {os.path.join(home, name): digest for name, digest in listed.items()}
        yield from _wrong("missing", [path for path in expected if not os.path.exists(path)])
        yield from _wrong("damaged, or of another version", [
            path for path, digest in expected.items()
            if os.path.exists(path) and hashlib.sha256(_read(path)).hexdigest() != digest])
        yield from _wrong("not of this version", sorted({*files} - {*expected}))
    for sentence in installation.broken:
        yield problem(sentence, "This job does not run.", AGAIN)
    yield ok(f"{len(files)} modules and {len(installation.jobs)} jobs")


def _read(path: str) -> bytes:
    """A file's bytes, with the line ends that we gave it."""
    with open(path, "rb") as file:
        return file.read().replace(b"\r\n", b"\n")


def _wrong(what: str, paths: list[str]):
    if paths:
        more = f" and {len(paths) - SHOWN} more" if paths[SHOWN:] else ""
        yield problem(f"{', '.join(paths[:SHOWN])}{more}: {what}",
                      "An upload was cut off, or an update was extracted over an earlier version.",
                      AGAIN)


CHECKS = (program, user, modules)
