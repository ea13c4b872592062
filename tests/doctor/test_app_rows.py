"""What only the rows of an app's tables show is named with a sample, and with what to do."""
from __future__ import annotations

import json

from jobs_lib import clock
from tests.commands.test_adopt import opened
from tests.support import adopted


def findings(line, words: str) -> list[dict]:
    """Those of `doctor` with these words."""
    return [found for found in json.loads(line("doctor", "--offline", "--json").out)
            if words in found["what"]]


def test_times_that_read_as_1970_are_named_with_an_expression(line, blank_url):     # R75
    """Seconds since then, where 0 is none; and a time that stands for none."""
    column = "its_expires_at"
    db = opened(adopted.make(blank_url, columns={"sessions.expires_at": "BIGINT"}))
    read = {"sqlite": f"datetime({column}, 'unixepoch')\n    write {column} = "
                      "CAST(strftime('%s', :value) AS INTEGER)",
            # FROM_UNIXTIME(0) is NULL in newer ones
            "mysql": f"'1970-01-01 00:00:00' + INTERVAL {column} SECOND\n    write {column} = "
                     "UNIX_TIMESTAMP(:value)"}[db.dialect.name]
    line.ini(adopted.ini(blank_url, {"sessions.expires_at": read}))
    line.run("migrate")
    assert findings(line, "reads as 1970") == []
    for number, expires in enumerate((0, 1_800_000_000), 1):
        db.execute("INSERT INTO app_sessions (its_user_id, its_token_hash, its_expires_at, "
                   "its_created_at, its_last_seen_at) VALUES (1, :hash, :expires, :now, :now)",
                   hash=f"h{number}", expires=expires, now=clock.now())
    db.insert("aliases", user_id=1, address="a@alias.example", expires_at="1970-01-01 00:00:00",
              created_at=clock.now())
    ends, expires = sorted(findings(line, "reads as 1970"), key=lambda found: found["what"],
                           reverse=True)
    looked = "of {} rows that were looked at, such as"
    assert expires["what"] == (f"[columns] sessions.expires_at reads as 1970 in 1 "
                               f"{looked.format(2)} '0'")
    assert ends["what"] == ("app_aliases.its_expires_at reads as 1970 in 1 "
                            f"{looked.format(1)} '1970-01-01 00:00:00'")
    assert expires["level"] == "warning"
    word = "datetime(NULLIF(ends, 0), 'unixepoch')" if db.dialect.name == "sqlite" else (
        "FROM_UNIXTIME(NULLIF(ends, 0))")
    assert word in expires["fix"]
    line.ini(adopted.ini(blank_url, {
        "sessions.expires_at": read.replace(column, f"NULLIF({column}, 0)", 1),
        "aliases.expires_at": f"NULLIF({column}, '1970-01-01 00:00:00')\n"
                              f"    write {column} = :value"}))
    assert findings(line, "reads as 1970") == []
    db.close()


def test_a_default_that_stands_for_no_time_is_named(line, blank_url):     # R75
    """As apps have it that do without zero dates."""
    db = opened(adopted.make(blank_url))
    line.ini(adopted.ini(blank_url))
    line.run("migrate")
    for ends in ("2000-01-01 00:00:00", "2000-01-01 00:00:01"):
        db.insert("aliases", user_id=1, address=f"{ends[-1]}@alias.example", expires_at=ends,
                  created_at=clock.now())
    found, = findings(line, "reads as 2000")
    assert found["what"] == ("app_aliases.its_expires_at reads as 2000 in 1 of 2 rows that were "
                             "looked at, such as '2000-01-01 00:00:00'")
    assert "NULLIF(ends, '2000-01-01 00:00:00')" in found["fix"]
    db.close()


def test_what_is_no_time_or_reads_as_none_is_named(line, tmp_path):                 # R75
    """As only SQLite stores it: text in any form."""
    url = f"sqlite:///{tmp_path}/app.db"
    wrong = "datetime(its_expires_at, 'unixepoch')\n    write its_expires_at = :value"
    db = opened(adopted.make(url, columns={"sessions.created_at": "TEXT"}))
    line.ini(adopted.ini(url, {"sessions.expires_at": wrong}))
    line.run("migrate")
    db.execute("INSERT INTO app_sessions (its_user_id, its_token_hash, its_expires_at, "
               "its_created_at, its_last_seen_at) VALUES (1, 'x', '2026-11-25T15:05:00Z', "
               "'1764340205', '2026-11-24T15:05:00Z'), (1, 'y', '2026-11-24T15:05:00Z', "
               "'1764340205', '2026-11-24T15:05:00Z')")
    shown = [found["what"] for found in findings(line, "of 2 rows that were looked at")]
    assert shown == [
        ("app_sessions.its_created_at is not a time such as 2026-11-24 15:05:00 in 2 of 2 rows "
         "that were looked at, such as '1764340205'"),
        ("app_sessions.its_last_seen_at is not a time such as 2026-11-24 15:05:00 in 2 of 2 rows "
         "that were looked at, such as '2026-11-24T15:05:00Z'"),
        ("[columns] sessions.expires_at reads as NULL in 2 of 2 rows that were looked at, such as "
         "'2026-11-24T15:05:00Z'")]
    db.close()


def test_an_apps_word_that_reads_as_one_that_waits_is_named(line, blank_url):       # R75
    """`sending` is its own word for what it has in hand."""
    status = ("CASE its_status WHEN 'done' THEN 'sent' WHEN 'gone' THEN 'failed' WHEN 'ours' THEN "
              "'sending' ELSE 'pending' END\n    write its_status = CASE :value WHEN 'sent' THEN "
              "'done' WHEN 'failed' THEN 'gone' WHEN 'sending' THEN 'ours' ELSE 'new' END")
    db = opened(adopted.make(blank_url))
    line.ini(adopted.ini(blank_url, {"failed_emails.status": status}))
    line.run("migrate")
    for word in ("new", "sending", "done"):
        db.execute("INSERT INTO app_failed_emails (its_user_id, its_alias_id, its_envelope_to, "
                   "its_raw_path, its_status, its_created_at) VALUES (1, 1, 'jo@home.example', "
                   ":word, :word, :now)", word=word, now=clock.now())
    found, = findings(line, "reads as pending")
    assert found["what"] == ("app_failed_emails.its_status has 'sending', which [columns] "
                             "failed_emails.status reads as pending")
    assert "'by_app'" in found["fix"]
    left_out = status.replace("ELSE 'pending'", "WHEN 'new' THEN 'pending' ELSE 'by_app'")
    line.ini(adopted.ini(blank_url, {"failed_emails.status": left_out}))
    assert findings(line, "reads as pending") == []
    line.run("adopt", "--confirm", "retry_forwards")
    assert line.job("retry_forwards", "--dry-run")["counts"]["unknown_status"] == 1
    db.close()


def test_a_time_that_stands_for_no_end_is_no_mistake(line, blank_url):              # R75
    """Also where no row has another: the 1970 of the advice above, or the last day of all."""
    end = "9999-12-31 00:00:00"
    db = opened(adopted.make(blank_url))
    line.ini(adopted.ini(blank_url, {
        "aliases.expires_at": f"NULLIF(its_expires_at, '{end}')\n"
                              f"    write its_expires_at = COALESCE(:value, '{end}')"}))
    line.run("migrate")
    for name in "ab":
        db.execute("INSERT INTO app_aliases (its_user_id, its_address, its_expires_at) VALUES "
                   f"(1, '{name}@alias.example', '{end}')")
    assert findings(line, "reads as NULL") == []
    db.close()
