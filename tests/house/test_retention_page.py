"""docs/retention.md says of each job that deletes what its options are, with the defaults that are
declared."""
from __future__ import annotations

import re

from jobs_lib import catalogue
from jobs_lib.engines.rules import Purge
from tests.house.source import ROOT, each

PAGE = ROOT / "docs" / "retention.md"
OTHERS = ("purge_header_snapshots", "archive_audit_logs", "expire_aliases",
          "expire_destination_verifications")
JOBS = [job.name for job in catalogue.load_all() if isinstance(job.run, Purge)
        or job.name in OTHERS]


def row(name: str) -> str:
    """The lines of the first table that name the job."""
    table = PAGE.read_text(encoding="utf-8").partition("## Who is notified first?")[0]
    return "\n".join(line for line in table.splitlines() if line.startswith("|")
                     and f"`{name}`" in line)


@each("name", JOBS)
def test_each_job_that_deletes_is_on_the_page_with_its_defaults(name):
    assert row(name), f"{name} is missing in {PAGE.name}"
    told = dict(re.findall(r"`(\w+) = (\w+)`", row(name)))
    options = catalogue.load(name).options
    assert told == {option: options[option].default for option in options
                    if options[option].default}


def test_the_page_names_no_job_that_is_not_there():
    assert sorted(set(re.findall(r"\| `(\w+)` \|",
                                 PAGE.read_text(encoding="utf-8")))) == sorted(JOBS)
