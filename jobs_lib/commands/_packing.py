"""What is uploaded: the files of this installation and the packages that it may need, the same
bytes each time.

A bundle is a dictionary {name: bytes}. It is written as a folder, as a zip, or as one file that
Python starts. Names are sorted, times are those of no clock, and modes are given, so two bundles of
the same files do not differ.
"""
from __future__ import annotations

import base64
import hashlib
import json
import lzma
import os
import sys
import zipfile
from importlib import metadata
from io import BytesIO

from jobs_lib.errors import JobsError
from jobs_lib.paths import BUILD

PACKAGES = ("PyMySQL", "python-dotenv", "dnspython")
NEEDED = ("jobs.py", "jobs_lib", ".htaccess", "config.ini.example", ".env.example", "crontab.txt",
          "requirements.txt")
WELCOME = ("README.md", "LICENSE", "CHANGELOG.md", "install.sh", "requirements-bundle.txt",
           "requirements-workers.txt", "docs")
PROGRAMS = ("jobs.py", "install.sh")
SUFFIXES = (".py", ".txt", ".html", ".css", ".md", ".png", ".sh", ".example", ".htaccess",
            "LICENSE")
SINGLE = "jobs.pyz"
# of the single file: what is below MARK in DOOR stands in the place of PLACE in jobs.py
DOOR, LOADER = "jobs_lib/single_file/door.py", "jobs_lib/single_file/in_memory.py"
MARK, PLACE = b"# In the single file from here on.\n", b"\nprogram = here\n"
LINE = 4000                             # letters in a line of what is packed
EPOCH = (1980, 1, 1, 0, 0, 0)           # the earliest that a zip can say


def installation(home: str) -> dict[str, bytes]:
    """The files of the program itself, never a configuration nor anything under `var`. JobsError if
    one is missing."""
    files: dict = {}
    for name in (*NEEDED, *WELCOME):
        path = os.path.join(home, name)
        if os.path.isdir(path):
            files.update(_below(path, name))
        elif os.path.isfile(path):
            files[name] = _read(path)
        elif name in NEEDED:
            raise JobsError(f"{path} is missing: a bundle is made of a whole copy of this program")
    return files


def _below(folder: str, name: str) -> dict[str, bytes]:
    found = {}
    for place, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if each != "__pycache__"]
        for file in files:
            if file.endswith(SUFFIXES):
                path = os.path.join(place, file)
                found[f"{name}/{os.path.relpath(path, folder).replace(os.sep, '/')}"] = _read(path)
    return found


def packages(folder: str | None) -> tuple[dict[str, bytes], list]:
    """({name below vendor/: bytes}, [(package, version, the Pythons it is for)]).

    From a folder that pip has filled, or from where this Python finds them. JobsError names those
    that are missing.
    """
    files: dict = {}
    found: list = []
    missing: list[str] = []
    for name in PACKAGES:
        distribution = next(iter(metadata.distributions(name=name, path=[folder] if folder
                                                        else sys.path)), None)
        if distribution is None:
            missing.append(name)
            continue
        found.append((name, distribution.version, distribution.metadata["Requires-Python"] or ""))
        for file in distribution.files or ():
            if _belongs(file.parts):
                files["vendor/" + "/".join(file.parts)] = _read(str(distribution.locate_file(file)))
    if missing:
        raise JobsError(f"{', '.join(missing)}: not found "
                        f"{'in ' + folder if folder else 'by this Python'}. `./install.sh bundle` "
                        "gets the packages first")
    return files, found


def _belongs(parts: tuple) -> bool:
    """Code and what a licence asks for: not programs, compiled code, nor what says where pip has
    put it."""
    top, last = parts[0], parts[-1]
    if top == ".." or "__pycache__" in parts:
        return False
    if top.endswith(".dist-info"):
        return last == "METADATA" or "licens" in "/".join(parts).lower()
    return not last.endswith((".so", ".pyd"))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def single_file(files: dict[str, bytes]) -> bytes:
    """Program and packages as one file, for Python a script: jobs.py, and all else in comments at
    its end.

    No zip, since Python takes longer to start one than to pass over these comments, and no binary
    file, which an upload in text mode would break (docs/decisions.md).
    """
    inside = {name: files[name] for name in sorted(files)
              if name.startswith(("jobs_lib/", "vendor/"))}
    head = json.dumps([(name, len(data)) for name, data in inside.items()]).encode()
    # the memory that it takes to undo this is that of the dictionary, about as much as there is
    packed = lzma.compress(b"\n".join((head, b"".join(inside.values()))), filters=[
        {"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 4 * 1024 ** 2}])
    start, _, end = _lines(files["jobs.py"]).partition(PLACE)
    door = _lines(files[DOOR]).partition(MARK)[2]
    if not end or not door:
        raise JobsError(f"bundle: jobs.py or {DOOR} is of another version: upload both again")
    letters = base64.b64encode(packed)
    build = hashlib.sha256(letters).hexdigest()[:BUILD]
    return b"".join((start, b"\n", door, f"""

program = find(os.path.abspath(__file__), "{build}")
# nothing beside this file is for Python, unless an app says so
sys.path[:] = [program] + [each for each in sys.path if each != here or __name__ != "__main__"]
""".encode(), end, *(b"#|" + line + b"\n" for line in _lines(files[LOADER]).split(b"\n")),
                     *(b"#:" + letters[at:at + LINE] + b"\n"
                       for at in range(0, len(letters), LINE))))


def _lines(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


def zipped(files: dict[str, bytes], top: str) -> bytes:
    """All of it in one folder of a zip, so that unpacking it anywhere spills nothing."""
    return _zip({f"{top}/{name}": data for name, data in files.items()}, zipfile.ZIP_DEFLATED)


def _zip(files: dict[str, bytes], how: int) -> bytes:
    memory = BytesIO()
    with zipfile.ZipFile(memory, "w", how) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type, entry.create_system = how, 3           # Unix, which has the modes
            entry.external_attr = (0o100000 | mode(name)) << 16
            archive.writestr(entry, files[name])
    return memory.getvalue()


def mode(name: str) -> int:
    """What a file of a bundle may: all but the programs are for reading alone."""
    return 0o755 if name.rpartition("/")[2] in PROGRAMS or name.endswith(SINGLE) else 0o644


def spread(files: dict[str, bytes], folder: str) -> None:
    """Write them into a folder that is empty, or not there yet."""
    for name in sorted(files):
        path = os.path.join(folder, *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:          # never what a link leads to
            file.write(files[name])
        os.chmod(path, mode(name))
