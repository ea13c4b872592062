"""Words of an app's that no job knows, and rows that no job can read, are shown before a run."""
from __future__ import annotations

import json
from datetime import timedelta

from jobs_lib import clock
from tests.database.schema.test_misfits import opened
from tests.support import adopted

USERS = ("app_users.its_status has words that no job knows: 'enabled' in 2, NULL in 1, 'Active' in "
         "1 of 5 rows that were looked at")
FAILED = "app_failed_emails.its_status has words that no job knows: '5.1.1' in 1 of 3 rows"
CASE = ("users.status = CASE its_status WHEN 'enabled' THEN 'active' ELSE its_status END, with a "
        "line `write`")


def app(line, url: str):
    """An app whose accounts are `enabled`, and whose failed mails have codes for statuses."""
    adopted.make(url, columns={"users.status": "VARCHAR(20)", "failed_emails.alias_id": "BIGINT",
                               "failed_emails.status": "VARCHAR(20)"})
    db = opened(url)
    for status in ("'enabled'", "'enabled'", "'Active'", "NULL", "'active'"):
        db.execute(f"INSERT INTO app_users (its_status) VALUES ({status})")
    for status, alias in (("5.1.1", 1), ("pending", 1), ("pending", "NULL")):
        db.execute("INSERT INTO app_failed_emails (its_user_id, its_alias_id, its_envelope_to, "
                   f"its_raw_path, its_status, its_created_at) VALUES (5, {alias}, "
                   f"'a@home.example', 'a.eml', '{status}', :before)",
                   before=clock.now() - timedelta(hours=5))
    line.ini(adopted.ini(url))
    line.run("migrate", "--own-tables")
    return db


def test_words_that_no_job_knows_are_named_with_their_numbers(line, blank_url):        # R74 R75
    db = app(line, blank_url)
    checked = line.run("migrate", "--check").splitlines()
    assert [text for text in checked if text.startswith(f"warning: {USERS}") and CASE in text]
    assert [text for text in checked if text.startswith(f"warning: {FAILED}")]
    assert len(checked) == 4
    seen = {finding["what"]: finding for finding in json.loads(
        line("doctor", "--offline", "--json").out)}
    assert (seen[USERS]["level"], CASE in seen[USERS]["fix"]) == ("warning", True)
    shown = " ".join(line.run("adopt").split())
    assert USERS in shown
    assert FAILED in shown
    found = {each["column"]: each for each in line.json("adopt")["unknown_words"]}
    assert found["users.status"]["words"] == [
        {"word": "enabled", "rows": 2}, {"word": None, "rows": 1}, {"word": "Active", "rows": 1}]
    db.close()


def test_what_would_be_given_up_as_invalid_is_counted(line, blank_url):                # R74 R75
    db = app(line, blank_url)
    db.execute("INSERT INTO app_aliases (its_user_id, its_address) VALUES (5, 'x@alias.example')")
    job, = (job for job in line.json("adopt")["jobs"] if job["name"] == "retry_forwards")
    assert {f"{item['act']} {item['what']}": item["number"] for item in job["items"]} == {
        "send forwards": 1,
        "give up invalid forwards, such as: its alias_id is missing": 1}
    db.close()


def test_what_waits_and_cannot_be_read_is_named_with_what_mends_it(line, blank_url):   # R74 R75
    db = app(line, blank_url)
    what = "1 of 2 forwards that wait and were looked at would be given up as invalid: its alias_id"
    checked, = (text for text in line.run("migrate", "--check").splitlines() if what in text)
    assert checked.endswith("failed_emails.alias_id = COALESCE(alias_id, 0).")
    assert [each for each in json.loads(line("doctor", "--offline", "--json").out)
            if each["what"] == f"{what} is missing" and each["level"] == "warning"]
    line.ini(adopted.ini(blank_url, {"failed_emails.alias_id": "COALESCE(its_alias_id, 0)"}))
    assert "alias_id" not in line.run("migrate", "--check")
    db.execute("INSERT INTO app_aliases (its_user_id, its_address) VALUES (5, 'x@alias.example')")
    job, = (job for job in line.json("adopt")["jobs"] if job["name"] == "retry_forwards")
    assert [(item["act"], item["number"]) for item in job["items"]] == [("send", 2)]
    db.close()


def test_a_sender_that_is_null_is_said_to_count_as_the_empty_one(line, blank_url):     # R74 R75
    adopted.make(blank_url, columns={"failed_emails.envelope_from": "VARCHAR(254)"})
    db = opened(blank_url)
    db.execute("INSERT INTO app_failed_emails (its_user_id, its_alias_id, its_envelope_to, "
               "its_raw_path) VALUES (1, 1, 'a@home.example', 'a.eml')")
    line.ini(adopted.ini(blank_url))
    line.run("migrate", "--own-tables")
    assert ("warning: 1 of 1 forwards that wait and were looked at have NULL for a sender "
            "(envelope_from)") in line.run("migrate", "--check")
    db.close()
