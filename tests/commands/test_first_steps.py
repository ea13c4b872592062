"""What a stranger gets wrong in the first steps beside an app is named where it is seen first."""
from __future__ import annotations

import json

import pytest

from jobs_lib.database.connection import connect
from tests.support import client

START = "[core]\ndatabase = {}\nprefix = jobs_\nstate_dir = state\nlog_dir = log\n"
USERS = """CREATE TABLE users (id CHAR(36) PRIMARY KEY, status VARCHAR(20), created_at DATETIME);
INSERT INTO users VALUES ('8f14e45f-ceea-4e7a-9c3b-1a2b3c4d5e6f', 'active', '2026-01-01 00:00:00');
CREATE TABLE recipients (id CHAR(36) PRIMARY KEY, user_id CHAR(36), email VARCHAR(90));
"""


@pytest.fixture
def shop(line, blank_url):
    """jobs.py beside an app with two tables."""
    connect(blank_url, create=True).close()
    client.run(blank_url, USERS)
    line.url = blank_url
    return line


def findings(shop) -> list[str]:
    return [each["what"] for each in json.loads(shop("doctor", "--offline", "--json").out)
            if each["area"] == "database"]


def test_a_table_with_our_name_that_is_not_named_beside_a_prefix(shop):      # R75
    said = ("there is a table users, and the jobs use jobs_users: if it is your app's, name it in "
            "[tables], users = users")
    shop.ini(START.format(shop.url))
    assert f"-- {said}" in shop.run("migrate", "--dry-run").splitlines()
    shop.ini(START.format(shop.url) + "[tables]\ndestinations = recipients\n")
    assert f"-- {said}" in shop.run("migrate", "--dry-run").splitlines()
    done = shop("migrate")
    assert said in (done.out + done.err).splitlines()
    assert any(said in what for what in findings(shop))
    shop.ini(START.format(shop.url) + "[tables]\ndestinations = recipients\nusers = users\n")
    done = shop("migrate")
    assert "there is a table" not in done.out + done.err
    assert not any("there is a table" in what for what in findings(shop))


def test_owners_without_an_address_are_counted_and_not_shown(shop):          # R74
    shop.ini(START.format(shop.url) + "[tables]\nusers = users\n")
    printed = shop.run("migrate")
    at = printed.index("email")
    assert printed[at:].splitlines()[0].endswith("   -- your app has to fill it")
    assert printed[at:].splitlines()[1] == (
        "-- old rows: without an address, so that no notice reaches them")
    client.run(shop.url, "ALTER TABLE users ADD COLUMN email VARCHAR(254) DEFAULT 'eyJpdiI6Ik';\n")
    said = "1 of 1 owners have no address in users.email: no notice reaches them"
    assert said in " ".join(shop.run("adopt").split())
    assert said in findings(shop)
    client.run(shop.url, "UPDATE users SET email = 'jo@home.example';\n")
    assert "no address" not in shop.run("adopt")
    assert "all owners have an address" in findings(shop)
