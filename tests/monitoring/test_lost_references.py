"""Columns that refer to rows that are not there are shown before a run: mostly they are the wrong
ones."""
from __future__ import annotations

import json
import re

import pytest

from jobs_lib.database.connection import connect
from jobs_lib.monitoring import lost_references
from tests.support import keyed

NUMBERS = range(1, 31)
SWAPPED = ("[columns]\nfailed_emails.user_id = destination_id\n"
           "failed_emails.destination_id = user_id\n")
WRONG = "failed_emails.destination_id has ids without a row in users: 30 of 30 that were looked at"


@pytest.fixture
def app(line, blank_url):
    """An app of 30 people with a UUID for each row; some destinations, as an app writes them."""
    key = keyed.UUIDS.make
    db = connect(keyed.make(blank_url, keyed.UUIDS))
    for n in NUMBERS:
        db.insert("users", id=key(n), email=f"m{n}@home.example")
        db.insert("aliases", id=key(n + 100), user_id=key(n), address=f"a{n}@alias.example")
        db.insert("destinations", id=key(n + 200), user_id=key(n), email=f"m{n}@home.example")
        db.insert("alias_destinations", alias_id=key(n + 100), destination_id=key(n + 200))
        db.insert("failed_emails", id=key(n + 300), user_id=key(n), alias_id=key(n + 100),
                  destination_id=key(n + 200), envelope_to=f"m{n}@home.example", raw_path="a.eml")
    yield db
    db.close()


def shown(line, url: str, more: str = "") -> list[str]:
    """What `migrate --check` warns of."""
    line.ini(f"[core]\ndatabase = {url}\nstate_dir = state\nlog_dir = log\n[spool]\n"
             f"dir = spool\n{more}")
    line.run("migrate")
    return [re.split(": (?:name|if|unless) ", text[9:])[0]
            for text in line("migrate", "--check").out.splitlines()
            if text.startswith("warning: ") and ("ids without a row" in text or "is empty" in text
                                              or "may name rows" in text
                                              or "row's destination" in text)]


def test_the_right_columns_are_not_named(line, app, blank_url):                # R74
    assert shown(line, blank_url) == []


def test_columns_that_were_taken_for_each_other_are_named(line, app, blank_url):       # R74
    """`doctor` and `adopt` show the same."""
    of_destinations = WRONG.replace("destination_id", "user_id").replace("users", "destinations")
    both = [WRONG, of_destinations]
    assert shown(line, blank_url, SWAPPED) == both
    seen = [each["what"] for each in json.loads(line("doctor", "--offline", "--json").out)]
    assert [text for text in both if text not in seen] == []
    problems = " ".join(line.json("adopt")["problems"])
    assert [text for text in both if text not in problems] == []


def test_what_is_left_over_of_some_rows_is_not_named(line, app, blank_url):      # R74
    app.execute("DELETE FROM {users} WHERE id IN (:ids)",
                ids=[keyed.UUIDS.make(n) for n in NUMBERS[:12]])
    app.execute("UPDATE {failed_emails} SET destination_id = ''")
    assert shown(line, blank_url) == []


def test_a_further_table_by_its_own_key_is_named(line, app, blank_url):      # R74
    app.execute(f"CREATE TABLE tokens (id {getattr(keyed.UUIDS, app.dialect.name)} PRIMARY KEY)")
    for n in NUMBERS:
        app.execute("INSERT INTO tokens VALUES (:id)", id=keyed.UUIDS.make(n + 400))
    assert shown(line, blank_url, "[delete_accounts]\nalso = tokens.id\n") == [
        "tokens.id has ids without a row in users: 30 of 30 that were looked at"]
    app.execute("DROP TABLE tokens")


def test_destinations_that_no_alias_uses_are_named_before_they_go(line, app, blank_url):   # R74
    app.execute("DELETE FROM {alias_destinations}")
    assert shown(line, blank_url) == [
        "alias_destinations is empty, so no alias uses a destination"]
    assert shown(line, blank_url, "[expire_destination_verifications]\nremove_after = off\n"
                 ) == []
    app.execute("DELETE FROM {destinations}")
    assert [text for text in shown(line, blank_url) if "is empty" in text] == []


def test_columns_that_may_name_a_destination_are_named_before_it_goes(line, app, blank_url):   # R74
    """The recipient of all aliases that have none of their own."""
    app.execute(f"ALTER TABLE {{users}} ADD COLUMN default_destination_id "
                f"{getattr(keyed.UUIDS, app.dialect.name)} NULL")
    assert shown(line, blank_url) == [
        "users.default_destination_id may name rows of destinations"]
    assert shown(line, blank_url, "[columns]\ndestinations.verified_at = CASE WHEN id > 'x' THEN "
                 "created_at END\n") == []


def test_more_ids_than_a_statement_takes_are_counted(app):        # R74
    """Text that is not plain is bound, and only so much can be."""
    ids = [f"j\u00f6rg{n}" for n in range(1000)]
    found, = lost_references._of_column(app, "tokens.owner", ("", "users"), ids, "there")
    assert found[0] == ("tokens.owner has ids without a row in users: 1,000 of 1,000 that were "
                        "looked at")


def test_senders_that_were_taken_for_recipients_are_named(line, app, blank_url):       # R74
    app.execute("UPDATE {failed_emails} SET envelope_from = 'ann@far.example'")
    swapped = ("[columns]\nfailed_emails.envelope_to = envelope_from\n"
               "failed_emails.envelope_from = envelope_to\n")
    found, = shown(line, blank_url, swapped)
    assert found == ("failed_emails.envelope_from is not the address of the row's destination in "
                     "30 of 30 rows that were looked at")
    app.execute("UPDATE {destinations} SET email = 'eyJpdiI6IlZ'")          # encrypted
    assert shown(line, blank_url, swapped) == []
