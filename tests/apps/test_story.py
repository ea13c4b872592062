"""An app's tables by docs/adoption.md alone: each example as it is printed, on its engine."""
from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.db import Client, run_sql

PAGE = (Path(__file__).parents[2] / "docs" / "adoption.md").read_text(encoding="utf-8")
ANN, BEN = "5f0c1d5e-7b0a-4a6e-9d55-0c2f6a2b9d10", "9b2f7f0a-53a1-4f0e-8f0b-3d0a5b1c7e22"
ROWS = f"""
INSERT INTO members (uuid, mail, state, made) VALUES
    ('{ANN}', 'ann@home.example', 1, '2026-01-01 00:00:00'),
    ('{BEN}', 'ben@home.example', 2, '2026-01-01 00:00:00');
INSERT INTO logins (uuid, member, hash, made, seen, days) VALUES
    ('{ANN[:-1]}1', '{ANN}', 'x', '2020-01-01 00:00:00', '2020-01-02 00:00:00', 30),
    ('{ANN[:-1]}2', '{ANN}', 'y', '2020-01-01 00:00:00', '2099-01-02 00:00:00', 32767);
"""
NAMES = re.search(r"```ini\n# mariadb\n(.*?)```", PAGE, re.DOTALL)[1]


def example(engine: str) -> str:
    """The SQL of the page."""
    return re.search(rf"```sql\n-- {engine}\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture
def shop(line, blank_url):
    """jobs.py beside the app of the page."""
    engine = "sqlite" if blank_url.startswith("sqlite") else "mariadb"
    if engine == "sqlite":
        Path(blank_url.partition(":///")[2]).touch()
    run_sql(blank_url, example(engine) + ROWS)
    line.ini(f"[core]\ndatabase = {blank_url}\nprefix = jobs_\nstate_dir = state\nlog_dir = log\n"
             f"[spool]\ndir = spool\n[mail]\ntransport = maildir\nmaildir = sent\n"
             f"domain = service.example\nfrom = jobs@service.example\n{NAMES}")
    line.url = blank_url
    return line


def logins(shop) -> list[str]:
    return [row["uuid"] for row in Client(shop.url).query("SELECT uuid FROM logins")]


def test_the_story_of_the_page(shop):                              # R14 R20 R74 R75
    planned = shop.run("migrate", "--dry-run")
    assert "-- Your app's tables (jobs_view_users, jobs_view_sessions) are not changed" in planned
    assert len(logins(shop)) == 2
    done = shop.run("migrate")
    assert "All jobs but check_jobs are paused" in " ".join(done.split())
    # what is still missing, with its statement; nothing of what the views show
    assert "CREATE TABLE" in done
    assert "jobs_view_" not in "".join(re.findall(r"(?m)^-- .*jobs_view.* has no .*", done))
    paused = {job["name"] for job in json.loads(shop.run("list", "--json")) if job["paused_at"]}
    assert len(paused) > 20
    assert "check_jobs" not in paused
    shop.run("run-due")
    assert len(logins(shop)) == 2                       # nothing was done
    shown = shop.run("test", "purge_sessions")
    assert "delete 1 row of sessions" in shown
    assert f"{ANN[:-1]}1  {ANN[:7]}" in shown            # its id, whole, and its user's
    resumed = " ".join(shop.run("resume", "purge_sessions").split())
    assert "purge_sessions has never run. A dry run says: 1 deleted" in resumed
    assert shop.job("purge_sessions")["counts"] == {"deleted": 1}
    assert logins(shop) == [f"{ANN[:-1]}2"]
    refused = shop("expire_aliases")
    assert (refused.code, "the database has no table jobs_aliases" in refused.err) == (1, True)


def test_what_the_page_makes_of_the_rest(shop):                    # R14 R20 R75
    """What `migrate` prints is run; then every job works, and an account is deleted through the
    views with what it has."""
    printed = shop.run("migrate")
    run_sql(shop.url, "\n".join(re.findall(r"(?ms)^(?:CREATE|ALTER) .*?;$", printed)) + "\n")
    assert shop.run("migrate", "--check") == "the schema is up to date\n"
    again = shop.run("migrate")
    assert "paused" not in again
    shop.run("resume", "all")
    for job in json.loads(shop.run("list", "--json")):
        if job["name"] != "check_domains":              # it asks name servers
            assert shop.job(job["name"])["status"] == "ok", job["name"]
    db = Client(shop.url)
    db.execute(f"UPDATE members SET state = 3, gone = '2026-01-02 00:00:00' WHERE uuid = '{ANN}'")
    counts = shop.job("delete_accounts", "--set", "grace=1d")["counts"]
    assert (counts["revoked"], counts["erased"]) == (1, 1)
    assert logins(shop) == []
    assert [row["uuid"] for row in db.query("SELECT uuid FROM members")] == [BEN]


def test_other_names_pause_the_jobs_again(shop):                   # R74
    shop.run("migrate")
    (shop.folder / "spool" / ".jobs-spool").unlink()    # as on a second host, or after a kill: R20
    shop.run("resume", "all")
    text = (shop.folder / "config.ini").read_text()
    shop.ini(text.replace("sessions = jobs_view_sessions\n", ""))
    refused = shop("purge_sessions")
    assert refused.code != 0
    assert "the names in [tables] have changed since the last `jobs.py migrate`" in refused.err
    assert "All jobs but check_jobs are paused" in " ".join(shop.run("migrate").split())
