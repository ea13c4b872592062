"""`line`: jobs.py in a folder of its own, called as from a shell or by cron, or on a terminal of so
many columns."""
from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE_ONLY = {".git", ".hypothesis", "tests", "vendor", "dist", "var", "demo", "config.ini", ".env"}
Answer = namedtuple("Answer", "code out err")


class Line:
    """`line("list")` runs `jobs.py list`; nothing of the tests' own environment is seen by it."""

    def __init__(self, folder, script: Path = ROOT / "jobs.py") -> None:
        self.folder, self.script = Path(folder), script

    def ini(self, text: str) -> Path:
        """Write config.ini."""
        path = self.folder / "config.ini"
        path.write_text(text, encoding="utf-8")
        return path

    def __call__(self, *words: str, **environment: str) -> Answer:
        """(exit code, stdout, stderr)."""
        run = subprocess.run(self._command(words), cwd=self.folder,
                             env=self._environment(environment), text=True, encoding="utf-8",
                             stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
        return Answer(run.returncode, run.stdout, run.stderr)

    def json(self, *words: str):
        """What it prints as JSON."""
        answer = self(*words, "--json")
        assert answer.code == 0, answer
        return json.loads(answer.out)

    def on_terminal(self, *words: str, columns: int = 80, **environment: str) -> list[str]:
        """The lines that a person sees, on a terminal; without colours, unless NO_COLOR is "" in
        the environment."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(self._command(words), cwd=self.folder, stdin=theirs,
                                   stdout=theirs, stderr=theirs,
                                   env=self._environment({"TERM": "vt100", "NO_COLOR": "1",
                                                          "COLUMNS": str(columns), **environment}))
        os.close(theirs)
        seen = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:                      # the other end is closed: Linux says EIO
                break
            if not part:
                break
            seen += part
        os.close(ours)
        process.wait(60)
        return seen.decode().replace("\r\n", "\n").rstrip("\n").split("\n")

    def _command(self, words) -> list[str]:
        config = self.folder / "config.ini"
        return [sys.executable, str(self.script), *(["--config", str(config)] if config.exists()
                                                    else []), *words]

    @staticmethod
    def _environment(more: dict) -> dict:
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONDONTWRITEBYTECODE")
                if name in os.environ}
        return {**kept, "HOME": "/nonexistent", **more}


def copy_program(folder: Path) -> None:
    """The program without its tests, and without what only this working copy has."""
    def left_out(where: str, names: list[str]) -> set[str]:
        here = {name for name in names if name in HERE_ONLY or name.startswith(".venv")
                or name.endswith("_cache")}
        return {"__pycache__"} | (here if Path(where) == ROOT else set())
    shutil.copytree(ROOT, folder, ignore=left_out)
