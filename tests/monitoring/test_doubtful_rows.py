"""What an app's columns seem to say otherwise than the jobs read it is shown before a run."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.support import adopted
from tests.support.bench import Bench

FUTURE = "accounts read as deleted, with a time in the future in app_users.its_deleted_at"
OFF = "app_aliases.its_active is 0 in 30 of 40 rows that were looked at"


@pytest.fixture
def bench(tmp_path, blank_url):
    (tmp_path / "bench").mkdir()
    made = Bench(tmp_path / "bench", adopted.make(blank_url), adopted.TABLES, adopted.COLUMNS)
    yield made
    made.db.close()


def shown(line, url: str) -> list[str]:
    """What `migrate --check` warns of."""
    line.ini(adopted.ini(url))
    return [text[9:] for text in line("migrate", "--check").out.splitlines()
            if text.startswith("warning: ") and any(
                part in text for part in (" in the future ", " is 0 in ", " is not a"))]


def test_accounts_that_are_to_be_deleted_some_day(line, bench, blank_url):         # R74
    """`doctor` and `adopt` show the same."""
    now = clock.now()
    bench.table("users", [{"id": number, "status": status, "deleted_at": now + timedelta(days=days)}
                          for number, (status, days) in enumerate((
                              ("deleted", -3), ("deleted", 0), ("active", 5)), 1)])
    assert shown(line, blank_url) == []
    bench.table("users", [{"id": number, "status": "deleted",
                           "deleted_at": now + timedelta(days=number)} for number in (4, 5)])
    found, = shown(line, blank_url)
    assert found.startswith(f"2 {FUTURE}")
    seen = [each["what"] for each in json.loads(line("doctor", "--offline", "--json").out)]
    assert [what for what in seen if what.startswith(f"2 {FUTURE}")]
    assert f"2 {FUTURE}" in " ".join(line.json("adopt")["problems"])


@pytest.mark.parametrize(("off", "is_named"), [(30, True), (20, False)])
def test_a_flag_that_seems_to_mean_the_opposite(line, bench, blank_url, off, is_named):   # R74
    bench.table("aliases", [{"user_id": 1, "address": f"{number}@alias.example",
                             "active": number > off} for number in range(1, 41)])
    found = shown(line, blank_url)
    assert [text[:len(OFF)] for text in found] == ([OFF] if is_named else [])


def test_what_has_expired_is_rightly_off(line, bench, blank_url):                  # R74
    bench.table("aliases", [{"user_id": 1, "address": f"{number}@alias.example",
                             "active": number > 30, "expires_at":
                             clock.now() + timedelta(days=-1 if number < 20 else 1)}
                            for number in range(1, 41)])
    assert shown(line, blank_url) == []


@pytest.mark.parametrize("wrong", [0, 7, 20])
def test_names_that_are_no_addresses_and_no_domains(line, bench, blank_url, wrong):   # R74
    """An app may keep the local part alone, or a name that people read."""
    made = [("", "") if number < wrong else ("@alias.example", ".example") for number in range(20)]
    bench.table("aliases", [{"user_id": 1, "address": f"shop{number}{end}"}
                            for number, (end, _) in enumerate(made)])
    bench.table("domains", [{"user_id": 1, "name": f"my shop {number}" if not end else
                             f"shop{number}{end}"} for number, (_, end) in enumerate(made)])
    assert [text.partition(" rows")[0] for text in shown(line, blank_url)] == (
        ["app_aliases.its_address is not an address in 20 of 20",
         "app_domains.its_name is not a domain name in 20 of 20"] if wrong == 20 else [])
