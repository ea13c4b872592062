"""What a person reads: times and outcomes in words, and on a terminal the signs of a row, which it
obeys in no command; colours are ours alone."""
from __future__ import annotations

import json
import re
import unicodedata
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_lib import text as times
from jobs_lib.output.console import visible
from jobs_lib.runner import outcome as outcomes
from jobs_lib.schedule import zone
from tests.support.databases import migrated
from tests.support.past import fill
from tests.support.product import clock
from tests.support.shell import Shell

NOW = datetime(2026, 11, 24, 22, 30, tzinfo=timezone.utc)
# Colour, cursor, title of the window, C1's CSI, turned writing (Trojan Source), zero width, tags,
# line and paragraph
HOSTILE = ("\x1b[31m\x1b[2J\x1b]0;x\x07\r\x9b2J\u202egnp\u2066\u200b\u2060\ufeff\U000e0041\u2028"
           "\u00ad\x7f\u3164")
TEXTS = {"users": ("name", "email"), "domains": ("name", "dns_results"), "aliases": ("address",),
         "destinations": ("email",), "webhooks": ("url",), "job_runs": ("host", "error",
                                                                        "stop_reason"),
         "failed_emails": ("envelope_from", "envelope_to", "last_error", "last_code"),
         "webhook_deliveries": ("event_type", "last_error", "response_excerpt"),
         "notifications": ("to_email", "subject", "last_error", "body_text"),
         "audit_logs": ("event", "actor", "details"), "alerts": ("subject", "error")}
OURS = re.compile(r"\x1b\[(0|1|2|31|32|33|36)m|\x1b\[K")
JSON = ("history", "list", "status", "doctor", "test retry_webhooks", "retry_forwards --dry-run")
COMMANDS = (*JSON, "history -v", "metrics", "queue forwards", "check_jobs --dry-run",
            "test retry_forwards", "config show", HOSTILE, f"retry_forwards --set x{HOSTILE}=1",
            f"replay forward {HOSTILE}")


@pytest.mark.parametrize("milliseconds, said", [
    (None, "-"), (0, "0 ms"), (999, "999 ms"), (1000, "1.0 s"), (9_940, "9.9 s"), (12_300, "12 s"),
    (200_000, "3 min 20 s"), (180_000, "3 min"), (3_900_000, "1 h 5 min"), (36_120_000, "10 h")])
def test_how_long_a_run_took(milliseconds, said):
    assert times.took(milliseconds) == said


@pytest.mark.parametrize("number, users, operators", [
    (0, "0 bytes", "0 bytes"), (1000, "1 kB", "1,000 bytes"), (999_499, "999 kB", "976 kB"),
    (999_500, "1.0 MB", "976 kB"), (9_950_000, "10 MB", "9.5 MB"), (3 << 40, "3.3 TB", "3.0 TB"),
    (-1, "unknown", "unknown"), (None, "unknown", "unknown")])
def test_sizes_are_in_units_of_1000_for_users_and_of_1024_for_operators(number, users, operators):
    assert (times.size(number, 1000), times.size(number)) == (users, operators)


@pytest.mark.parametrize("hours, said", [
    (0, "23:30"), (1, "tomorrow 00:30"), (-24, "yesterday 23:30"), (48, "Thu 26 Nov 23:30"),
    (-24 * 10, "Sat 14 Nov 23:30"), (24 * 200, "2027-06-13 00:30")])         # summer time by then
def test_a_moment_is_as_short_as_it_is_clear_in_its_zone(hours, said):
    assert times.moment(NOW + timedelta(hours=hours), NOW, zone("Europe/Berlin")) == said


@pytest.mark.parametrize("result, said", [
    ({}, "retry_x: done in 1.2 s"),
    ({"counts": {"sent": 1200, "files": 1, "failed": 0, "access": 1}, "duration_ms": 200_000},
     "retry_x: done in 3 min 20 s: 1,200 sent, 1 file, 1 access"),
    ({"status": "partial", "stop_reason": "budget", "counts": {"sent": 3}},
     "retry_x: stopped early after 1.2 s (budget), the next run goes on: 3 sent"),
    ({"status": "failed", "error": "the relay\n  is\tgone", "counts": {"sent": 3}},
     "retry_x: failed: the relay is gone"),
    ({"status": "skipped", "stop_reason": "the lock is held"},
     "retry_x: not started: the lock is held")])
def test_an_outcome_is_one_line(result, said):
    assert outcomes.outcome_words({
        "job": "retry_x", "status": "ok", "duration_ms": 1234, "counts": {}, "stop_reason": None,
        "error": None, **result}) == said


# Terminals

@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """An installation whose rows hold all of it in each text that somebody else may have
    written."""
    folder = tmp_path_factory.mktemp("hostile")
    db = migrated(f"sqlite:///{folder}/jobs.db")
    fill(db, clock.now(), troubled=True)
    for table, columns in TEXTS.items():
        for column in columns:
            db.execute(f"UPDATE {{{table}}} SET {column} = coalesce({column}, '') || :hostile",
                       hostile=HOSTILE)
    db.close()
    Shell(folder, f"sqlite:///{folder}/jobs.db").db.close()
    return Shell(folder)


def obeyed(text: str) -> set[str]:
    """The signs of a text that a terminal does not show."""
    return {f"{sign!a}" for sign in text
            if sign in "\u2028\u2029\u3164" or (sign not in "\n\t" and unicodedata.category(sign)[0]
                                                == "C")}


@pytest.mark.slow                   # a process for each
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words.replace(HOSTILE, "HOSTILE"))
def test_no_command_lets_a_row_or_a_word_steer_the_terminal(hostile, words):     # R72
    seen = "\n".join(hostile.on_terminal(*words.split(" "), TERM="xterm", NO_COLOR=""))
    assert obeyed(OURS.sub("", seen.replace("\r\x1b[K", ""))) == set()
    assert "\x1b[31m\\u001b[2J" not in seen             # a colour of the row's
    assert seen.strip()
    if words in JSON:               # it is ASCII, and still JSON
        text = "\n".join(hostile.on_terminal(*words.split(), "--json", TERM="xterm", NO_COLOR=""))
        assert (text.isascii(), obeyed(text)) == (True, set())
        json.loads(text)


@pytest.mark.slow
def test_a_pipe_gets_the_text_as_it_is(hostile):     # R72: a program reads it, and no terminal
    assert "\u202e" in hostile("history", "--json").out


@given(st.text())
def test_what_is_visible_shows_each_sign_and_stays_as_it_is(text):     # R72
    shown = visible(text)
    assert (obeyed(shown), visible(shown)) == (set(), shown)
    if text.isprintable() and not obeyed(text):
        assert shown == text or "\\u" in shown


def test_words_of_all_languages_stay_readable():     # R72
    for text in ("Grüße, \u4f60\u597d \u05e9\u05dc\u05d5\u05dd 10\u00a0000 \U0001f600", "a\tb\nc"):
        assert visible(text) == text
    assert visible("a\r\nb") == "a\nb"
    assert json.loads(f'"{visible(HOSTILE)}"') == HOSTILE
