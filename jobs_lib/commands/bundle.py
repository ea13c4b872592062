"""Make what is uploaded to a host: this program with its packages inside, as a zip, a folder or one
file.

The end of --output says which: .zip is a folder with everything, .py is the program as one file,
and any other name is a folder to upload as it is. Nothing of this installation's own goes in: no
config.ini, no .env, no data. The same files make the same bundle, byte for byte.
"""
from __future__ import annotations

import hashlib
import os

from jobs_lib import folders
from jobs_lib.errors import OK, JobsError
from jobs_lib.output.typed import shown
from jobs_lib.paths import HOME, PROGRAM, VERSION

from . import _packing

TOP = "jobs"
SINGLE_FILE = (".py", ".pyz")


def arguments(parser) -> None:
    """Declares --output and --packages."""
    parser.add_argument("--output", metavar="FILE", help="a name that ends in .zip or .py, or a "
                        f"folder (default: dist/jobs-{VERSION}.zip)")
    parser.add_argument("--packages", metavar="DIR", help="take the packages from this folder that "
                        "pip has filled, and not from where this Python finds them")


def run(args, make_session, config_path) -> int:
    """Make it, and say what is in it and what to do with it."""
    if PROGRAM != HOME:
        raise JobsError("bundle: this is one already, as a single file; a copy of it is enough")
    if args.output and os.path.realpath(args.output) == os.path.join(HOME, "jobs.py"):
        raise JobsError("bundle: that is the jobs.py of this installation: name another file, such "
                        "as dist/jobs.py")
    console = make_session(None).console
    output = os.path.abspath(args.output or os.path.join(HOME, "dist", f"jobs-{VERSION}.zip"))
    files = _packing.installation(HOME)
    vendor, found = _packing.packages(args.packages)
    files.update(vendor)
    if output.endswith(SINGLE_FILE):
        digest = _write(output, _packing.single_file(files))
    else:
        files[_packing.SINGLE] = _packing.single_file(files)
        digest = _write(output,
                        _packing.zipped(files, TOP)) if output.endswith(".zip") else _fill(output,
                                                                                           files)
    console.report(f"{shown(output)}: {digest}")
    for name, version, pythons in found:
        console.report(f"  with {name} {version}, for Python {pythons or 'of any version'}")
    console.report(_advice(output))
    return OK


def _write(path: str, data: bytes) -> str:
    """Put it in place as a whole, since a half one would be uploaded one day."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    folders.write(path, data, _packing.mode(path))
    return f"{len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"


def _fill(folder: str, files: dict) -> str:
    if os.path.exists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise JobsError(f"bundle: {folder} is there and not empty: name another folder, or a file "
                        "that ends in .zip")
    _packing.spread(files, folder)
    return f"a folder with {len(files):,} files, {sum(map(len, files.values())):,} bytes"


def _advice(output: str) -> str:
    if output.endswith(SINGLE_FILE):
        return ("Upload it with a config.ini beside it, outside of the web root. It is used like "
                f"any jobs.py: `python3 {shown(os.path.basename(output))} migrate`. Its first "
                "start unpacks it into var/program beside it.")
    place = ("Upload it beside public_html and extract it there: that makes the folder jobs."
             if output.endswith(".zip") else "Upload it beside public_html, hidden files too.")
    return f"{place} How to go on: docs/install.md in it."
