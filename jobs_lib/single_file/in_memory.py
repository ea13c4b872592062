"""Loading the single file into memory, where Python then finds its modules: for its first start and
for each one where it cannot be unpacked.

`bundle` puts this module into the file as it is, beside what is packed, since it unpacks that.
"""
from __future__ import annotations

import base64
import hashlib
import importlib.abc
import importlib.util
import json
import os
import sys


def load(path: str, build: str, letters: bytes) -> None:
    """Let Python find the modules in `path`, the single file, and unpack it for the next start.

    Ends the process if the file is not whole. `letters`: what is packed, in base64.
    """
    try:
        import lzma
    except ImportError:
        sys.exit("jobs.py: this Python lacks its module lzma, which the single file needs: use "
                 "another Python, or upload the unpacked bundle instead (docs/install.md)")
    letters = letters.translate(None, b"\r\n")
    if hashlib.sha256(letters).hexdigest()[:len(build)] != build:
        sys.exit(f"jobs.py: {path} is not whole, or is just being replaced: upload it again")
    head, _, rest = lzma.decompress(base64.b64decode(letters)).partition(b"\n")
    inside, at = {}, 0
    for name, size in json.loads(head):
        inside[name] = rest[at:at + size]
        at += size
    install(path, inside)
    from jobs_lib.single_file import unpacking
    unpacking.unpack(inside, path, build)


def install(path: str, inside: dict) -> None:
    """Let Python find modules among these files, {name: bytes}, as if `path` were their folder."""
    class Folder(_Folder):
        script, files = path, inside
    sys.path_hooks.insert(0, Folder)
    sys.path_importer_cache.pop(path, None)     # Python has found no zip there
    sys.path.insert(0, path)


class _Folder(importlib.abc.SourceLoader):
    """A folder within the file: what finds its modules, as `sys.path_hooks` asks for it, and loads
    them."""

    script = ""
    files: dict = {}

    def __init__(self, path: str) -> None:
        if not (path + os.sep).startswith(self.script + os.sep):
            raise ImportError
        self.path = path

    def find_spec(self, fullname: str, target=None):
        """Where this module is; None if it is not here."""
        above = os.path.join(self.path, fullname.rpartition(".")[2])
        for path, package in ((os.path.join(above, "__init__.py"), [above]), (above + ".py", None)):
            if self._name(path) in self.files:
                return importlib.util.spec_from_file_location(
                    fullname, path, loader=self, submodule_search_locations=package)
        return None

    def iter_modules(self, prefix: str = ""):
        """(name, whether it is a package) of each module here, as pkgutil asks for it."""
        start = self._name(os.path.join(self.path, ""))
        names = {name[len(start):] for name in self.files if name.startswith(start)}
        for name in sorted(names):
            if name.endswith("/__init__.py") and name.count("/") == 1:
                yield prefix + name.partition("/")[0], True
            elif name.endswith(".py") and "/" not in name and name != "__init__.py":
                yield prefix + name[:-3], False

    def get_filename(self, fullname: str) -> str:
        """The name of a module's file, which the tracebacks show."""
        found = self.find_spec(fullname)
        if found is None:
            raise ImportError(name=fullname)
        return found.origin

    def get_data(self, path: str) -> bytes:
        """What is in a file."""
        try:
            return self.files[self._name(path)]
        except KeyError:
            raise FileNotFoundError(path) from None

    def _name(self, path: str) -> str:
        return path[len(self.script) + 1:].replace(os.sep, "/")
