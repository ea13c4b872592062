"""docs/status.png: the status page of a service that is made up, as Chromium draws it.

    python3 -m tests.support.status_picture
"""
from __future__ import annotations

import tempfile
from pathlib import Path

from tests.support.browser import picture
from tests.support.past import ready
from tests.support.product import publish

TARGET = Path(__file__).resolve().parents[2] / "docs" / "status.png"
WIDTH, HEIGHT = 1280, 1800


def main() -> None:
    """Draw it."""
    with tempfile.TemporaryDirectory() as folder, ready(Path(folder), troubled=True) as bench:
        page = Path(folder) / "status.html"
        page.write_text(publish.page(bench._config, bench.db, bench.now), encoding="utf-8")
        picture(page, TARGET, WIDTH, HEIGHT)


if __name__ == "__main__":
    main()
