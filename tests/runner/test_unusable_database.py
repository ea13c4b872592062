"""What is wrong with the database or the schema is one line and exit 1, for a single run and for a
tick."""
from __future__ import annotations

import json

import pytest


def newer(site) -> None:
    site.db.upsert("meta", {"name": "schema"}, {"value": "99"})


def older(site) -> None:
    site.db.execute("DELETE FROM {meta} WHERE name = 'schema'")


def elsewhere(url: str):
    return lambda site: site.configure(database=url)


@pytest.mark.parametrize("words", ["dig", "dig --scheduled", "dig --dry-run", "run-due"])
@pytest.mark.parametrize("break_, said", [
    (newer, "schema 99, newer than this bundle knows"), (older, "run `jobs.py migrate`"),
    (elsewhere("sqlite:///empty.db"), "run `jobs.py migrate`"),
    (elsewhere("sqlite:///mistyped.db"), "mistyped.db"),
    (elsewhere("mysql://jobs:secret-word@127.0.0.1:1/test_1"), ": correct [core] database in")])
def test_a_database_that_cannot_be_used_is_one_line(site, words, break_, said):      # R20
    site.enable("dig")
    (site.folder / "empty.db").touch()
    break_(site)
    done = site(*words.split())
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1), done
    assert done.err.startswith("jobs.py: ")
    assert said in done.err
    assert "secret-word" not in done.err
    assert (site.runs(), site.dug()) == ([], 0)
    assert not (site.folder / "mistyped.db").exists()
    if words == "dig":
        event = site.events("dig")[-1]
        assert (event["event"], event["level"]) == ("run not started", "error")


def test_a_used_installation_whose_database_is_gone_is_asked_for_its_backup(any_site):   # R20 R63
    any_site.configure("spool", dir="spool")
    assert any_site("migrate").code == 0
    assert [any_site.job("dig")["status"] for _ in "12"] == ["ok", "ok"]
    (any_site.folder / "spool" / "1.eml").touch()
    any_site.configure(prefix="lost_", **(
        {"database": "sqlite:///lost.db"} if "sqlite" in any_site.url else {}))
    lost = "though this installation was in use: correct [core] database in config.ini, or restore"
    assert lost in any_site("status").err
    assert "that database is lost, restore your backup. If it is gone" in any_site("migrate").err
    assert (lost in any_site("status").err, [*any_site.folder.glob("lost*")]) == (True, [])


def test_migrate_upgrades_an_older_schema_and_refuses_a_newer_one(any_site):         # R20
    older(any_site)
    codes = [any_site("migrate", *how).code for how in (["--check"], [], ["--check"])]
    assert codes == [1, 0, 0]
    assert any_site.job("dig")["status"] == "ok"
    newer(any_site)
    for how in ([], ["--check"], ["--dry-run"]):
        done = any_site("migrate", *how)
        assert (done.code, "newer than this bundle" in " ".join((done.out + done.err).split())) == (
            1, True)


def test_a_restart_of_the_server_during_a_run_is_survived(maria_site, mariadb):
    """Between two items: the connection is reopened. With the lock in it, the run stops."""
    maria_site.configure(lock="database")
    worker = maria_site.digging("--json", pause=100)
    mariadb.stop()
    mariadb.start()
    out, err = worker.communicate(timeout=120)
    assert "Traceback" not in err
    assert json.loads(out)["status"] in ("partial", "failed")
    assert maria_site.job("dig", "--set", "items=1")["status"] == "ok"
    assert maria_site.outcomes("dig")[0] in ("partial", "failed", "vanished")
