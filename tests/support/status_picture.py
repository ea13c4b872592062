"""docs/status.png: the status page of a service that is made up, as Chromium draws it.

    python3 -m tests.support.status_picture
"""
from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.past import ready
from tests.support.product import publish

TARGET = Path(__file__).resolve().parents[2] / "docs" / "status.png"
WIDTH, HEIGHT = 1280, 1800


def main() -> None:
    """Draw its upper part, light."""
    with tempfile.TemporaryDirectory() as folder, ready(Path(folder), troubled=True) as bench:
        page = Path(folder) / "status.html"
        page.write_text(publish.page(bench._config, bench.db, bench.now), encoding="utf-8")
        subprocess.run(
            [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu",
             "--no-first-run", "--disable-background-networking", f"--screenshot={TARGET}",
             f"--window-size={WIDTH},{HEIGHT}", "--hide-scrollbars",
             "--blink-settings=preferredColorScheme=1", f"--user-data-dir={folder}/profile",
             page.as_uri()], capture_output=True, timeout=90, check=True)


if __name__ == "__main__":
    main()
