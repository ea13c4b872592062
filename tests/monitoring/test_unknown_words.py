"""Words of an app's that no job knows, and rows that no job can read, are shown before a run."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from jobs_lib import catalogue, clock
from jobs_lib.database.schema.works_on import of_all, works_on
from jobs_lib.monitoring import unknown_words
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
    assert len(checked) == 3
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


def test_what_an_account_of_an_unknown_status_gets_is_said_as_it_is(line, blank_url):       # R74
    db = app(line, blank_url)
    texts = {each["column"]: each["text"] for each in line.json("adopt")["unknown_words"]}
    assert "nothing is sent for it" in texts["failed_emails.status"]
    assert "nothing is sent for it" not in texts["users.status"]
    assert ("the account's mail and webhooks are sent as those of an active one, and it gets no "
            "notice") in texts["users.status"]
    db.close()


def test_mail_of_an_account_of_an_unknown_status_is_sent_without_a_notice(bench):           # R74
    bench.table("users", [{"id": 1, "email": "jo@home.example", "status": "enabled"}])
    bench.table("aliases", [{"id": 1, "user_id": 1, "address": "a@alias.example",
                             "expires_at": bench.ahead(days=2)}])
    bench.table("failed_emails", [{
        "user_id": 1, "alias_id": 1, "envelope_to": "jo@home.example", "raw_path": "a.eml",
        "created_at": bench.ago(hours=2)}])
    bench.spool("a.eml", b"Subject: a\r\n\r\nHello\r\n")
    bench.table("webhooks", [{"id": 1, "user_id": 1, "url": "https://hook.example/",
                              "secret": "whsec_AAAA"}])
    bench.table("webhook_deliveries", [{"user_id": 1, "webhook_id": 1, "event_id": "e",
                                        "payload": "{}", "created_at": bench.ago(minutes=2)}])
    assert bench.run("retry_forwards")["sent"] == 1
    assert bench.run("retry_webhooks")["delivered"] == 1
    bench.run("expire_aliases")
    assert bench.rows("notifications") == []


def test_what_would_be_given_up_as_invalid_is_counted(line, blank_url):                # R74 R75
    db = app(line, blank_url)
    db.execute("INSERT INTO app_aliases (its_user_id, its_address) VALUES (5, 'x@alias.example')")
    job, = (job for job in line.json("adopt")["jobs"] if job["name"] == "retry_forwards")
    assert {f"{item['act']} {item['what']}": item["number"] for item in job["items"]} == {
        "send forwards": 1,
        "give up invalid forwards, such as: its alias_id is missing": 1}
    db.close()


def forwards(line, url: str, status: str, *stored: str):
    """An app that has failed mails of these statuses, with an expression for that column."""
    adopted.make(url, columns={"failed_emails.status": "VARCHAR(40)"})
    db = opened(url)
    for each in stored:
        db.execute("INSERT INTO app_failed_emails (its_user_id, its_alias_id, its_envelope_to, "
                   "its_raw_path, its_status) VALUES (1, 1, 'a@home.example', 'a.eml', "
                   f"{each})")
    line.ini(adopted.ini(url, {"failed_emails.status": status} if status else {}))
    line.run("migrate", "--own-tables")
    return db


READ = ("CASE its_status WHEN 'new' THEN 'pending' WHEN 'ours' THEN 'sending' WHEN 'ok' THEN "
        "'sent' WHEN 'bad' THEN 'failed' {} END\n    write its_status = CASE :value WHEN 'pending' "
        "THEN 'new' WHEN 'sending' THEN 'ours' WHEN 'sent' THEN 'ok' ELSE 'bad' END")


def test_a_word_by_which_an_expression_leaves_rows_to_the_app_is_no_mistake(line, blank_url):  # R75
    """`by_app` is what docs/adoption.md recommends; to return nothing is not."""
    db = forwards(line, blank_url, READ.format("ELSE 'by_app'"), "'new'", "'theirs'")
    assert "that no job knows" not in line.run("migrate", "--check")
    line.ini(adopted.ini(blank_url, {"failed_emails.status": READ.format("")}))
    found, = line.json("adopt")["unknown_words"]
    assert found["text"].startswith("[columns] failed_emails.status reads as words that no job "
                                    "knows: NULL in 1 of 2 rows that were looked at. The jobs ")
    assert ".. " not in found["text"]
    assert "CASE" not in found["text"]
    db.close()


def test_of_an_expression_no_other_is_proposed_for_what_it_returns(line, blank_url):   # R75
    db = app(line, blank_url)
    line.ini(adopted.ini(blank_url, {"users.status": (
        "LOWER(its_status)\n    write its_status = :value")}))
    found, = (text for text in line.run("migrate", "--check").splitlines()
              if "[columns] users.status" in text)
    assert found.startswith("warning: [columns] users.status reads as words that no job knows: "
                            "'enabled' in 2, NULL in 1 of 5 rows that were looked at: ")
    assert found.endswith("let the expression return the one that the jobs know: "
                          "docs/adoption.md, Expressions.")
    db.close()


def test_a_word_with_an_apostrophe_is_proposed_as_columns_takes_it(line, blank_url):   # R75
    db = forwards(line, blank_url, "", "'it''s'")
    assert "CASE its_status WHEN 'it''s' THEN '...' ELSE" in line.run("migrate", "--check")
    db.close()


def test_a_row_of_a_small_table_is_counted_once(line, blank_url, monkeypatch):         # R75
    db = app(line, blank_url)
    monkeypatch.setattr(unknown_words, "LOOKED_AT", 3)
    users, = (each for each in unknown_words.look(db, of_all()) if each.column == "users.status")
    assert (users.rows, users.words) == (5, {"enabled": 2, None: 1, "Active": 1})
    monkeypatch.setattr(unknown_words, "LOOKED_AT", 2)
    users, = (each for each in unknown_words.look(db, of_all()) if each.column == "users.status")
    assert (users.rows, users.words) == (4, {"enabled": 2, None: 1})
    db.close()


def test_of_rows_of_disabled_jobs_nothing_is_said(line, blank_url):                    # R75
    db = app(line, blank_url)
    off = "".join(f"[{name}]\nenabled = no\n" for name in catalogue.names()
                  if "failed_emails" in works_on(catalogue.load(name)))
    line.ini(adopted.ini(blank_url) + off)
    for words in (("migrate", "--check"), ("adopt",), ("doctor", "--offline")):
        shown = " ".join(line(*words).out.split())
        assert "app_failed_emails.its_status has words" not in shown
        assert "would be given up as invalid" not in shown
    db.close()


@pytest.mark.parametrize("blank_url", ["mariadb"], indirect=True)
def test_an_enum_that_only_disabled_jobs_read_is_not_named(line, blank_url):           # R75
    adopted.make(blank_url, columns={"message_logs.direction": "ENUM('in', 'out')"})
    line.ini(adopted.ini(blank_url))
    line.run("migrate", "--own-tables")
    what = "app_message_logs.its_direction is an ENUM with in, out, which no job knows"
    for command in (("doctor", "--offline"), ("migrate", "--check"), ("adopt",)):
        assert what in " ".join(line(*command).out.split())
    off = "".join(f"[{name}]\nenabled = no\n" for name in catalogue.names()
                  if "message_logs" in works_on(catalogue.load(name)))
    line.ini(adopted.ini(blank_url) + off)
    assert what not in " ".join(line("doctor", "--offline").out.split())
