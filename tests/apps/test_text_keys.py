"""An app's keys may be text: every job, and every command about single items, does with UUIDs,
ULIDs and words that look like numbers what it does with numbers."""
from __future__ import annotations

import re
from datetime import timedelta

import pytest

import jobs_lib
from tests.support import keyed
from tests.support.bench import Bench
from tests.support.databases import added_up, bulk
from tests.support.product import NAMES, UsageError, table
from tests.test_hostile_rows import JOBS, configured, healthy

# Not compared: what is random or derived from a key, how long something takes or is.
COMPARED = ("id", "ref", "word", "int", "big", "flag", "date", "time", "address")
APART = {"claim_run", "run_id", "file_bytes", "duration_ms", "row_count", "first_id", "last_id"}
OF_RUNS = {"job_runs", "job_state", "meta", "queue_turns"}
# of rollup_usage: days of rows that came in late, as no key says that they did
OF_DAYS = {"days"}


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
    if name == "attempts":                  # of any kind of item
        row = {**row, "item_id": str(row["item_id"])}
    return {column.name: row[column.name] is None if column.type == "time" else row[column.name]
            for column in table(name).columns if column.type in COMPARED
            and column.name not in APART and (name, column.name) != ("attempts", "id")}


def with_keys(*pairs):
    """A test on these engines with these kinds of keys."""
    return pytest.mark.parametrize(("engine_url", "keys"), pairs, indirect=["engine_url"],
                                   ids=[f"{engine}-{keys.name}" for engine, keys in pairs])


# SQLite compares any text alike
@with_keys(("sqlite", keyed.MIXED), *(("mariadb", keys) for keys in (
    keyed.ULIDS, keyed.NUMERIC, keyed.OWN_TYPE, keyed.UUIDS)))
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


# One item at a time

ANN = 7
EACH = with_keys(("sqlite", keyed.MIXED), ("mariadb", keyed.MIXED), ("mariadb", keyed.OWN_TYPE))


@pytest.fixture
def service(text_bench):
    """Ann has something in each queue."""
    configured(text_bench)
    healthy(text_bench)
    return text_bench


def key(bench, number: int) -> str:
    """What an operator types."""
    return bench.db.names.key(number)


def listed(bench, *words) -> list:
    return sorted(item["id"] for item in bench.json("queue", *words)["items"])


@EACH
def test_queues_are_listed_by_owner_and_since(service):                              # R75 R77
    ann, mail = key(service, ANN), f"user{ANN}@example.org"
    for name, numbers in (("forwards", (70, 71, 72)), ("webhooks", (70, 71)), ("exports", (70,)),
                          ("domains", (70,))):
        keys = sorted(key(service, number) for number in numbers)
        for owner in (ann, mail):
            assert listed(service, name, "--owner", owner) == keys, name
    assert listed(service, "forwards", "--failed") == [key(service, 71)]
    assert listed(service, "forwards", "--since", "2026-11-20") == [key(service, 70)]
    assert listed(service, "deletions") == sorted([key(service, 8), key(service, 9)])
    assert listed(service, "notifications", "--owner", ann) == [70, 71, 72]
    with pytest.raises(UsageError, match="no account or alias has this address"):
        service.command("queue", "forwards", "--owner", "nobody@x.example")


@EACH
def test_items_are_shown_put_back_and_cancelled_by_their_keys(service):              # R75 R77
    due, lost = key(service, 70), key(service, 71)
    assert service.json("queue", "forwards", lost)["owner"] == key(service, ANN)
    assert service.json("replay", "forward", lost)["replayed"] == [lost]
    assert service.json("cancel", "forward", due, lost)["cancelled"] == [due, lost]
    events = [event["outcome"] for event in service.json("queue", "forwards", lost)["events"]]
    assert [*filter(None, events)][-2:] == ["replayed", "cancelled"]
    for kind, word, id in (("webhook", due, due), ("export", due, due), ("domain", due, due),
                           ("domain", f"club{ANN}.example", due),
                           ("deletion", key(service, 9), key(service, 9)),
                           ("notification", "70", 70)):
        assert service.json("queue", kind, word)["id"] == id, kind
    nobody = key(service, 4_000)
    assert "there is no such row" in service.command("queue", "forwards", nobody, code=1)
    assert f"({nobody}): there is no such row" in service.command(
        "cancel", "forward", nobody, code=1)
    assert "no such row" in service.command("replay", "forward", nobody, code=1)
    with pytest.raises(UsageError, match="ids are numbers"):
        service.command("replay", "notification", f"{nobody}-x")


@EACH
def test_an_export_is_downloaded_by_its_link_and_a_purged_row_known_by_its_key(service):   # R75 R77
    for job in ("export_accounts", "send_notifications", "retry_forwards"):
        service.run(job)
    (text,) = [mail.text for mail in service.outbox if "/export?t=" in mail.text]
    found = jobs_lib.find_export(re.search(r"/export\?t=([\w-]+)", text)[1],
                                 str(service.folder / "config.ini"), service.now)
    assert (found.request_id, found.user_id) == (key(service, 70), key(service, ANN))
    service.now += timedelta(days=30)
    service.clock.seconds += 30 * 86_400
    service.run("purge_failed_emails", yes=True)
    assert service.json("queue", "forwards", key(service, 70))["state"] == "purged"
    for words in (("status",), ("list",), ("metrics",),
                  ("report", "--output", str(service.folder / "page.html"))):
        service.command(*words, code=None)


@with_keys(("sqlite", keyed.UUIDS), ("mariadb", keyed.UUIDS))
def test_rows_whose_keys_are_text_go_by_their_ids_and_are_added_up(text_bench):         # R58
    moments = {**dict.fromkeys(range(1, 2501), 91),
               **{id: 91 if id % 9 else 1 for id in range(5000, 9000, 8)}}
    bulk(text_bench.db, "message_logs", ["id", "user_id", "direction", "status", "created_at"],
         [(id, 1, "forward", "delivered", text_bench.ago(days=days))
          for id, days in moments.items()])
    assert text_bench.run("purge_message_logs", limit=1001)["deleted"] == 1001
    text_bench.run("purge_message_logs")
    assert {*text_bench.ids("message_logs")} == {id for id, days in moments.items() if days < 90}
    assert text_bench.db.value("SELECT SUM(email_count) FROM "
                               f"{added_up(text_bench.db)}") == len(moments)
