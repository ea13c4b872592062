"""`doctor`: what is wrong, why it matters and how to fix it; it ends whatever is broken, and shows
no secret."""
from __future__ import annotations

import json
import os
import time

import pytest

from jobs_lib.doctor import AREAS, ONLINE
from tests.servers.misbehaving import Relay
from tests.servers.ports import free_port
from tests.support.doctor_bench import DoctorBench


@pytest.fixture
def healthy(tmp_path, pool):
    """An installation that is in order but for cron, which comes when the test says so."""
    installed = DoctorBench(tmp_path, pool.sqlite(tmp_path))
    with Relay() as relay:
        installed.configure("mail", transport="smtp", host="127.0.0.1", port=relay.port,
                         security="none", per_hour="80")
        yield installed
    installed.db.close()


def test_a_healthy_installation_ends_with_0_and_few_words(healthy, line):
    answer = line("doctor")
    assert (answer.code, answer.err) == (0, "")
    assert [words.split()[0] for words in answer.out.split("\n") if words[:1].isalpha()] == [
        area for area in AREAS if area not in ("dns", "workers")]
    assert "problem" not in answer.out
    assert "warning" not in answer.out
    assert "ok:" not in answer.out
    assert len(answer.out.split("\n")) < 20


def test_v_shows_all_that_was_looked_at(healthy, line):
    out = line("doctor", "-v").out
    for words in ("ok: the database answers", "ok: no run was killed", "accepts the connection",
                  "is private", "modules and"):
        assert words in out


def test_the_json_is_an_array_of_findings(healthy, line):
    found = line.json("doctor")
    assert {area["area"] for area in found} == set(AREAS) - {"dns", "workers"}
    for finding in found:
        assert sorted(finding) == ["area", "fix", "level", "what", "why"]
        assert finding["level"] in ("ok", "note", "warning", "problem")
        assert finding["what"]
        assert finding["level"] == "ok" or (finding["why"] and finding["fix"])


def test_nothing_is_changed_and_nothing_sent(healthy, line):
    def seen():
        return sorted(os.listdir(healthy.folder / "state")), healthy.db.query("SELECT * FROM "
                                                                              "{meta} ORDER BY "
                                                                              "name")

    before = seen()
    line("doctor")
    assert seen() == before


def test_offline_asks_no_relay(healthy, line):
    healthy.configure("mail", port=free_port())
    assert line("doctor").code == 1
    answer = line("doctor", "--offline")
    assert (answer.code, answer.out.count("Left out (--offline)")) == (0, len(ONLINE))


@pytest.mark.slow
def test_with_everything_broken_it_still_ends_in_time_and_shows_no_secret(tmp_path, line):
    line.ini(f"""\
[core]
database = mysql://me:hunter2hunter2@127.0.0.1:{free_port()}/mail
state_dir = /proc/no
timezone = Mars/Olympus
budget = soon
[mail]
host = 127.0.0.1
port = {free_port()}
security = tls
username = me
password = hunter2hunter2
[dns]
nameservers = 127.0.0.1:{free_port()}
[spool]
dir = /dev/null
[nonsense]
x = 1
[purge_sessions]
idle = 0
""")
    began = time.monotonic()
    answer = line("doctor", "-v")
    assert time.monotonic() - began < 60
    assert (answer.code, answer.err) == (1, "")
    for words in ("[core] timezone = 'Mars/Olympus'", "[core] budget = 'soon'", "[nonsense]",
                  "[purge_sessions] idle", "chmod 600", "cannot be reached", "Connection refused",
                  "No name server answers", "is not a folder"):
        assert words in answer.out.replace("\n    ", " "), words
    document = line("doctor", "--json").out
    assert "hunter2" not in answer.out + document
    # cron needs none
    assert {finding["area"] for finding in json.loads(document)} == set(AREAS) - {"workers"}


def test_a_config_that_is_named_and_not_there_is_a_problem(line, tmp_path):
    answer = line("--config", "nowhere.ini", "doctor")
    assert answer.code == 1
    assert "problem: there is no file nowhere.ini" in answer.out
    assert "host " in answer.out


def test_a_terminal_of_80_columns_is_enough(healthy, line):
    healthy.configure("mail", port=free_port())
    healthy.db.execute("DROP INDEX sessions_expiry")
    lines = line.on_terminal("doctor", "-v")
    assert [words for words in lines if len(words) > 80 and str(healthy.folder) not in words
            and "CREATE" not in words and os.path.dirname(os.path.dirname(__file__)) not in words
            and "python" not in words] == []
    assert '      CREATE INDEX "sessions_expiry" ON "sessions" ("expires_at");' in lines
