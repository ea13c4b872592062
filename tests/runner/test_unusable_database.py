"""What is wrong with the database or the schema is one line and exit 1, for a single run and for a
tick."""
from __future__ import annotations

import json

import pytest

from tests.support.product import SCHEMA_VERSION

WAYS = pytest.mark.parametrize("words", [("dig",), ("dig", "--scheduled"), ("dig", "--dry-run"),
                                         ("run-due",)],
                               ids=" ".join)


def one_line(done, code: int = 1) -> str:
    """The line; anything else fails."""
    assert (done.code, done.out) == (code, ""), done
    assert done.err.count("\n") == 1
    assert done.err.startswith("jobs.py: ")
    return done.err


@WAYS
def test_a_newer_schema_is_refused(any_site, words):                         # R20
    any_site.enable("dig")
    any_site.db.upsert("meta", {"name": "schema"}, {"value": "99"})
    try:
        said = one_line(any_site(*words))
        assert "schema 99, newer than this bundle knows" in said
        assert (any_site.runs(), any_site.dug()) == ([], 0)
        assert "newer than this bundle" in one_line(any_site("migrate", "--check"))
    finally:
        any_site.db.upsert("meta", {"name": "schema"}, {"value": str(SCHEMA_VERSION)})


@WAYS
def test_a_database_without_our_tables_is_refused(site, tmp_path, words):    # R20
    (tmp_path / "empty.db").touch()
    site.configure(database=f"sqlite:///{tmp_path}/empty.db")
    assert "run `jobs.py migrate`" in one_line(site(*words))


def test_an_older_schema_is_refused_until_migrate(site):                     # R20
    site.db.execute("DELETE FROM {meta} WHERE name = 'schema'")
    assert "run `jobs.py migrate`" in one_line(site("dig"))
    assert site("migrate", "--check").code == 1
    assert site("migrate").code == 0
    assert site("migrate", "--check").code == 0
    assert site.job("dig")["status"] == "ok"


@WAYS
def test_a_missing_file_is_reported_and_not_made(site, tmp_path, words):
    site.configure(database=f"sqlite:///{tmp_path}/mistyped.db")
    assert "mistyped.db" in one_line(site(*words))
    assert not (tmp_path / "mistyped.db").exists()
    if words == ("dig",):
        event = site.events("dig")[-1]
        assert (event["event"], event["level"]) == ("run not started", "error")


@WAYS
@pytest.mark.parametrize("is_up", [True, False], ids=["wrong password", "down"])
def test_a_server_that_refuses_is_reported_without_the_password(site, request, words, is_up):
    port = request.getfixturevalue("mariadb").port if is_up else 1
    site.configure(database=f"mysql://jobs:secret-word@127.0.0.1:{port}/test_1")
    said = one_line(site(*words))
    assert ("wrong name or password" if is_up else "127.0.0.1:1") in said
    assert "secret-word" not in said


def test_a_database_that_goes_away_during_a_run_fails_it_with_one_line(site):
    """The row stays `running`, and how it ended is kept in a file; the next run stores it."""
    done = site("dig", "--set", "items=1", "--set", "pause=300", "-v",
                    bug="jobs_lib.runner.history:finish=DatabaseError:it went away")
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert "the outcome could not be stored" in done.err
    assert site.events("dig")[-1]["status"] == "failed"
    assert site.job("dig")["status"] == "ok"
    assert site.outcomes("dig") == ["ok", "ok"]
    assert list((site.folder / "state" / "unrecorded").glob("*.json")) == []


KEPT = {"job": "dig", "run_id": "0" * 16, "status": "ok", "trigger": "manual", "pid": 7,
        "slot": None, "started_at": "2026-11-24 14:30:05", "finished_at": "2026-11-24 14:30:06",
        "duration_ms": 1000, "counts": {"dug": 3}, "stop_reason": None, "error": None,
        "dry_run": False, "begun": False}
SPOILT = {"empty": "", "cut off": json.dumps(KEPT)[:40], "a list": "[1, 2]", "a word": '"ok"',
          "null": "null", "no UTF-8": b"\xff\xfe", "deep": "[" * 100_000, "nothing in it": "{}",
          "no number": json.dumps({**KEPT, "counts": {"dug": float("nan")}}),
          "a surrogate": json.dumps({**KEPT, "error": "\ud800"}),
          "another job's": json.dumps({**KEPT, "job": "fail"})}


def keep(site, content: str | bytes):
    """The file in which the outcome of an earlier run of `dig` is kept."""
    path = site.folder / "state" / "unrecorded" / "dig.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_what_another_run_has_kept_is_stored(any_site):                      # R70
    path = keep(any_site, json.dumps(KEPT))
    assert any_site.job("dig")["status"] == "ok"
    stored, _ = any_site.runs()
    assert (stored["run_id"], stored["counts"]) == ("0" * 16, '{"dug": 3}')
    assert not path.exists()


def test_a_kept_outcome_that_makes_no_sense_is_set_aside(any_site):          # R69
    for name, content in SPOILT.items():
        path = keep(any_site, content)
        assert any_site.job("dig")["status"] == "ok", name
        assert not path.exists(), name
    assert any_site.outcomes() == ["ok"] * len(SPOILT)
    moved = [event["moved_to"] for event in any_site.events("dig") if event["event"]
             == "kept outcome cannot be read"]
    assert sorted(moved) == sorted(map(str, path.parent.glob("*.unreadable")))
    assert len(moved) == len(SPOILT)


def test_a_restart_of_the_server_during_a_run_is_survived(maria_site, mariadb):
    """Between two items: the connection is reopened. With the lock in it, the run stops."""
    maria_site.configure(lock="database")
    worker = maria_site.start("dig", "--set", "items=100000", "--set", "pause=100", "--json")
    maria_site.working("dig")
    mariadb.stop()
    mariadb.start()
    out, err = worker.communicate(timeout=120)
    assert "Traceback" not in err
    assert json.loads(out)["status"] in ("partial", "failed")
    assert maria_site.job("dig", "--set", "items=1")["status"] == "ok"
    assert maria_site.outcomes("dig")[0] in ("partial", "failed", "vanished")
