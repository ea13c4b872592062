"""What a test does without a program it needs: skip with a reason, or fail under
JOBS_TEST_REQUIRE=1."""
from __future__ import annotations

import os
import shutil

import pytest

# For a test that is about one engine: on the other there is none.
on_sqlite = pytest.mark.parametrize("engine_url", ["sqlite"], indirect=True)
on_mariadb = pytest.mark.parametrize("engine_url", ["mariadb"], indirect=True)
PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"))


def missing(reason: str):
    """Skips the test, or fails it where everything must be there."""
    if os.environ.get("JOBS_TEST_REQUIRE") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def program(name: str, package: str) -> str:
    """The path of an installed program; without it the test is skipped or fails."""
    path = shutil.which(name, path=PLACES)
    return path or missing(f"{name} is not installed (Debian: apt-get install {package})")
