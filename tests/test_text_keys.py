"""An app's keys may be text: every job, and every command about single items, does with UUIDs,
ULIDs and words that look like numbers what it does with numbers."""
from __future__ import annotations

from datetime import timedelta

import pytest

from jobs_lib.database.schema import NAMES
from jobs_lib.database.schema.tables import table
from tests.support import keyed
from tests.support.bench import Bench
from tests.test_hostile_rows import JOBS, configured, healthy

# Not compared: what is random or derived from a key, how long something takes or is.
COMPARED = ("id", "ref", "word", "int", "big", "flag", "date", "time", "address")
APART = {"claim_token", "claim_run", "run_id", "file_bytes", "log_row", "newest", "duration_ms",
         "row_count", "first_id", "last_id", "token_nonce"}
OF_RUNS = {"job_runs", "job_state", "meta", "gauges", "mail_shares", "queue_turns",
           "schema_migrations", "rollup_days"}
# of rollup_usage: a day that was purged is added up once more, as no key says whether it was seen
OF_DAYS = {"days", "user_days"}


@pytest.fixture(params=keyed.KINDS, ids=lambda keys: keys.name)
def keys(request):
    """A kind of keys."""
    return request.param


@pytest.fixture
def text_bench(tmp_path, engine_url, request, keys):
    """A Bench whose app has such keys, on each engine."""
    folder = tmp_path / "text"
    folder.mkdir()
    url = f"sqlite:///{folder}/jobs.db" if engine_url.startswith("sqlite") else (
        request.getfixturevalue("mariadb").database())
    made = Bench(folder, keyed.make(url, keys), keys=keys)
    yield made
    made.db.close()
    if not url.startswith("sqlite"):
        request.getfixturevalue("mariadb").drop(url)


def outcome(bench, job: str, dry_run: bool = False) -> tuple:
    """(how a run ended, its counts, and its error)."""
    result = bench.attempt(job, dry_run=dry_run)
    counts = {name: number for name, number in result["counts"].items() if number
              and name not in OF_DAYS}
    return result["status"], result["stop_reason"], result["error"], counts


def story(bench) -> dict:
    """What is stored, sent and kept, as far as it is the same whatever the keys look like."""
    found: dict = {name: sorted(map(repr, (_plain(name, row) for row in bench.rows(name))))
                   for name in NAMES if name not in OF_RUNS}
    found["mail"] = sorted((mail.recipient, mail.subject) for mail in bench.outbox)
    found["requests"] = len(bench.web)
    found["spool"] = bench.spooled()
    return found


def _plain(name: str, row: dict) -> dict:
    is_made = name == "audit_logs" and row["actor"] == "jobs"
    if name == "attempts":                  # of any kind of item
        row = {**row, "item_id": str(row["item_id"])}
    return {column.name: row[column.name] is None if column.type == "time" else row[column.name]
            for column in table(name).columns if column.type in COMPARED
            and column.name not in APART and not (is_made and column.name == "id")}


def test_every_job_does_with_text_what_it_does_with_numbers(bench, text_bench):      # R75
    benches = (bench, text_bench)
    for each in benches:
        configured(each)
        healthy(each)
    for day in range(3):
        for job in JOBS:
            for dry_run in (True, False):
                numbers, text = (outcome(each, job, dry_run) for each in benches)
                assert text == numbers, (day, job, dry_run)
        numbers, text = map(story, benches)
        assert text == numbers, day
        for each in benches:
            each.now += timedelta(days=1)
            each.clock.seconds += 86_400
