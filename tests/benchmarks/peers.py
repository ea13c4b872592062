"""Packages that a benchmark compares with, in a virtual environment of their own."""
from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path


def python_with(*packages: str) -> str:
    """The Python of an environment with these packages; made at the first call, kept in the
    temporary folder."""
    name = hashlib.sha256(" ".join((sys.version, *packages)).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"benchmark-peers-{name}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
        (folder / "complete").touch()
    return str(python)
