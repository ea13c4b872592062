"""What is wrong with the database or the schema is one line and exit 1, for a single run and for a
tick."""
from __future__ import annotations

import json

import pytest

from tests.support.product import SCHEMA_VERSION

WAYS = pytest.mark.parametrize("words", [("dig",), ("dig", "--scheduled"), ("dig", "--dry-run"),
                                         ("run-due",)],
                               ids=" ".join)


def one_line(done) -> str:
    """The line; anything else fails."""
    assert (done.code, done.out) == (1, ""), done
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
        for how in ([], ["--check"], ["--dry-run"]):
            assert "newer than this bundle" in one_line(any_site("migrate", *how))
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
    assert ("Access denied for user" if is_up else "127.0.0.1:1") in said
    assert "secret-word" not in said


def test_a_database_that_goes_away_during_a_run_fails_it_with_one_line(site):
    """The row stays `running`; how it ended stands in the log, and the next run calls it
    vanished."""
    done = site("dig", "--set", "items=1", "--set", "pause=300", "-v",
                    bug="jobs_lib.runner.history:finish=DatabaseError:it went away")
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1
    assert "the outcome could not be stored" in done.err
    assert site.events("dig")[-1]["status"] == "failed"
    assert site.job("dig")["status"] == "ok"
    assert site.outcomes("dig") == ["vanished", "ok"]


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
