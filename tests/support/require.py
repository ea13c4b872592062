"""What a test does without a program it needs: skip with a reason, or fail under
JOBS_TEST_REQUIRE=1; and what all tests together have left out."""
from __future__ import annotations

import os
import shutil
from collections import Counter

import pytest

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


def left_out(skipped) -> list[str]:
    """A line for each reason, with how many tests it has left out; `skipped`: reports of pytest."""
    reasons = Counter(report.longrepr[2].partition("Skipped: ")[2] or report.longrepr[2]
                      for report in skipped if isinstance(report.longrepr, tuple))
    lines = [f"{number:,} {'test' if number == 1 else 'tests'}: {reason}"
             for reason, number in reasons.most_common()]
    if any("is not installed (Debian" in reason for reason in reasons):
        lines.append("Install what is missing: apt-get install $(./install.sh missing)")
    return lines
