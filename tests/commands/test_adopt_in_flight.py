"""What an app had in flight when the jobs were started is the app's: nothing of it is sent that
nobody has counted."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jobs_lib import clock
from tests.commands.test_adopt import opened, statements
from tests.support import adopted

OLD, YOUNG, NOW = timedelta(days=100), timedelta(hours=3), timedelta(minutes=5)
STATUS = {"failed_emails": "sending", "webhook_deliveries": "sending",
          "export_requests": "running"}
LACKING = ("failed_emails.next_attempt_at", "webhook_deliveries.next_attempt_at")


def fill(db, table: str, age: timedelta, lacking: tuple = ()) -> None:
    """A row in flight of the app's, with no claim of ours, without the columns that it lacks."""
    more = {"failed_emails": {"alias_id": 1, "envelope_from": "s@shop.example",
                              "envelope_to": "jo@home.example", "raw_path": "m"},
            "webhook_deliveries": {"webhook_id": 1, "event_id": "e", "payload": "{}",
                                   "event_type": "x"},
            "export_requests": {}}[table]
    came_in = "requested_at" if table == "export_requests" else "created_at"
    values = {"user_id": 1, "status": STATUS[table], came_in: clock.now() - age, **more}
    values = {name: value for name, value in values.items() if f"{table}.{name}" not in lacking}
    db.execute(f"INSERT INTO {{{table}}} ({', '.join(values)}) "
               f"VALUES ({', '.join(f':{name}' for name in values)})", **values)


@pytest.fixture
def app(line, blank_url):
    """jobs.py beside an app's database with all columns, rows of three ages in flight in each
    queue."""
    line.db = opened(adopted.make(blank_url))
    line.ini(adopted.ini(blank_url) + "[export]\nurl = https://app.example/e\n")
    line.run("migrate")
    line.db.insert("users", id=1, email="jo@home.example")
    line.db.insert("aliases", id=1, user_id=1, address="a@alias.example")
    line.db.insert("webhooks", id=1, user_id=1, url="http://127.0.0.1:9/", secret="whsec_AAAA")
    for table in STATUS:
        for age in (OLD, YOUNG, NOW):
            fill(line.db, table, age)
    yield line
    line.db.close()


def at_once(app, job: str) -> dict:
    """{what: number}, as `adopt --json` counts it."""
    items, = (each["items"] for each in app.json("adopt")["jobs"] if each["name"] == job)
    return {f"{item['act']} {item['what']}": item["number"] for item in items}


@pytest.mark.parametrize(("job", "name"), [
    ("retry_forwards", "forwards"), ("retry_webhooks", "webhooks"),
    ("export_accounts", "exports")])
def test_what_an_app_has_in_flight_is_counted_as_that_and_ended_by_its_age(app, job, name):  # R74
    """By `adopt`, a dry run and the run alike, before and after the confirmation."""
    theirs = f"leave alone {name} in flight by your app"
    end = "give up" if name == "exports" else "end unsent"
    assert at_once(app, job) == {theirs: 2, f"{end} {name} older than 7d": 1}
    tried = json.loads(app("test", job, "--json").out)
    assert f"ends 1 {name} older" in tried["samples"][0]["step"]
    assert app.json("adopt", "--confirm", job)["ended"] == {job: 1}
    assert at_once(app, job) == {theirs: 2}
    counts, tried = tried["counts"], json.loads(app("test", job, "--json").out)
    assert tried["counts"] == counts
    assert counts["unknown_status"] == 2
    if name != "exports":
        assert any("leave alone 2" in sample["step"] for sample in tried["samples"])
    done = app.job(job)
    assert (done["counts"]["unknown_status"], done["status"]) == (2, "ok")
    table, = (table for table in STATUS if name[:3] in table or (name, table) == (
        "forwards", "failed_emails"))
    rows = app.db.query(f"SELECT * FROM {{{table}}} ORDER BY id")
    assert [row["status"] for row in rows] == ["failed", STATUS[table], STATUS[table]]
    assert app.db.query("SELECT id FROM {notifications}") == []


def test_what_is_printed_ends_what_is_long_in_flight_too(line, blank_url):         # R74
    url = adopted.make(blank_url, LACKING)
    db = opened(url)
    for table in STATUS:
        for age in (OLD, YOUNG):
            fill(db, table, age)
    line.ini(adopted.ini(url))
    for sql in statements(line.run("migrate")):
        db.execute(sql.rstrip(";"))
    for table in ("failed_emails", "webhook_deliveries"):
        rows = db.query(f"SELECT * FROM {{{table}}} ORDER BY id")
        assert [row["status"] for row in rows] == ["failed", "sending"], table
    assert [row["told_at"] is None for row in db.query("SELECT * FROM {failed_emails} ORDER BY id")
            ] == [False, True]
    db.close()


def test_a_status_that_is_added_spares_what_came_in_lately(line, blank_url):       # R74
    """As it says beside it; but where nobody knows when a row came in, all are ended."""
    whole = ("failed_emails.status", "webhook_deliveries.status", "export_requests.status")
    undated = ("webhook_deliveries.created_at",)
    url = adopted.make(blank_url, whole + undated)
    db = opened(url)
    for table in STATUS:
        for age in (OLD, YOUNG):
            fill(db, table, age, lacking=whole + undated)
    line.ini(adopted.ini(url))
    printed = line.run("migrate")
    assert "those younger than 7 d are sent by the next run" in printed
    assert "those younger than 7 d are made by the next run" in printed
    for sql in statements(printed):
        db.execute(sql.rstrip(";"))
    found = {table: [row["status"] for row in db.query(f"SELECT * FROM {{{table}}} ORDER BY id")]
             for table in STATUS}
    assert found == {"failed_emails": ["failed", "pending"],
                     "webhook_deliveries": ["failed", "failed"],
                     "export_requests": ["expired", "queued"]}
    db.close()


def test_a_dry_run_does_not_count_what_the_confirmation_ends(app):                 # R74
    """So it counts the same before and after it, and as `adopt` does."""
    for table, status in STATUS.items():
        app.db.execute(f"UPDATE {{{table}}} SET status = :status", status={
            "sending": "pending", "running": "queued"}[status])
    count = {"retry_forwards": "sent", "retry_webhooks": "delivered",
             "export_accounts": "exported"}
    before = {job: json.loads(app("test", job, "--json").out) for job in count}
    shown = {job: sum(number for what, number in at_once(app, job).items()
                      if what.startswith(("send", "make"))) for job in count}
    assert {job: before[job]["counts"][name] for job, name in count.items()} == shown
    assert shown == {"retry_forwards": 1, "retry_webhooks": 2, "export_accounts": 2}
    app.run("adopt", "--confirm", *count)
    after = {job: json.loads(app("test", job, "--json").out) for job in count}
    assert {job: tried["counts"] for job, tried in after.items()} == {
        job: tried["counts"] for job, tried in before.items()}


def test_a_dry_run_says_that_the_job_is_not_confirmed(app):                        # R74
    said = "not confirmed: `jobs.py adopt` shows what the first run would do"
    for words in (("test", "purge_sessions"), ("purge_sessions", "--dry-run"),
                  ("retry_forwards", "--dry-run")):
        assert said in " ".join(app.run(*words).split()), words
    # one that stops early, too: the clock is in doubt
    app.db.upsert("meta", {"name": "clock_trusted"},
                  {"value": f"{clock.text(clock.now() - timedelta(days=400))}|other|5|"})
    shown = " ".join(app.run("purge_sessions", "--dry-run").split())
    assert "the clock is in doubt" in shown
    assert said in shown
    app.run("adopt", "--confirm")
    for words in (("test", "purge_sessions"), ("retry_forwards", "--dry-run")):
        assert "not confirmed" not in app.run(*words), words


@pytest.mark.parametrize("name", ["delete_accounts", "expire_aliases"])
def test_who_is_notified_is_counted_alike_by_adopt_a_dry_run_and_the_run(line, blank_url, name):
    """R74: whatever says that an account is deleted, and only where a notice can be sent."""
    db = opened(adopted.make(blank_url))
    line.ini(adopted.ini(blank_url))
    line.run("migrate")
    now = clock.now()
    when = [None, now - timedelta(days=1), now - timedelta(days=400), now + timedelta(days=300),
            None]
    status = "deleted" if name == "delete_accounts" else "active"
    for id, (email, moment) in enumerate(zip(
            ["a@h.example", "b@h.example", "c@h.example", "d@h.example", "no address"], when), 1):
        db.insert("users", id=id, email=email, status=status, deleted_at=moment)
        db.insert("aliases", user_id=id, address=f"a{id}@alias.example",
                  expires_at=now - timedelta(hours=id))
    if db.dialect.name == "mysql":
        db.execute("SET SESSION sql_mode = ''")
        db.execute("UPDATE {users} SET deleted_at = '0000-00-00 00:00:00' WHERE id = 5")
    items, = (job["items"] for job in line.json("adopt")["jobs"] if job["name"] == name)
    found = {f"{item['act']} {item['what']}": (item["number"], item["owners"]) for item in items}
    tried = json.loads(line("test", name, "--json").out)["counts"]
    line.run("adopt", "--confirm", name)
    counts = line.job(name)["counts"]
    if name == "delete_accounts":
        assert found == {"close deleted accounts": (5, 3), "erase deleted accounts": (1, 0)}
        assert {count: tried[count] for count in ("revoked", "erased", "notices")} == {
            "revoked": 5, "erased": 1, "notices": 3}
        assert {count: counts[count] for count in ("revoked", "erased", "notices")} == {
            count: tried[count] for count in ("revoked", "erased", "notices")}
    else:
        assert found == {"deactivate aliases that have ended": (5, 4)}
        assert (tried, counts) == ({"expired": 5, "notices": 4},) * 2
    db.close()


@pytest.mark.parametrize(("queue", "item"), [("forwards", "forward"), ("webhooks", "webhook")])
def test_what_the_app_is_sending_is_shown_as_the_apps(app, queue, item):                # R74
    why = "by your app: no run has claimed it"
    assert {each["why"] for each in app.json("queue", queue)["items"]} == {why}
    assert app.json("queue", item, "1")["next"]["why"] == why
