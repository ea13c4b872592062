"""What a person reads: times and outcomes in words, and on a terminal the signs of a row, which it
obeys in no command; colours are ours alone."""
from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_lib.output.terminal import visible
from tests.support.past import fill
from tests.support.product import clock
from tests.support.shell import Shell

# Colour, cursor, title of the window, C1's CSI, turned writing (Trojan Source), zero width, tags,
# line and paragraph
HOSTILE = ("\x1b[31m\x1b[2J\x1b]0;x\x07\r\x9b2J\u202egnp\u2066\u200b\u2060\ufeff\U000e0041\u2028"
           "\u00ad\x7f")
TEXTS = {"users": ("name", "email"), "domains": ("name", "dns_results"), "aliases": ("address",),
         "destinations": ("email",), "webhooks": ("url",), "job_runs": ("host", "error",
                                                                        "stop_reason"),
         "failed_emails": ("envelope_from", "envelope_to", "last_error", "last_code"),
         "webhook_deliveries": ("event_type", "last_error", "response_excerpt"),
         "notifications": ("to_email", "subject", "last_error", "body_text"),
         "audit_logs": ("event", "actor", "details"), "alerts": ("subject", "error")}
OURS = re.compile(r"\x1b\[(0|1|2|31|32|33|36)m|\x1b\[K")
JSON = ("history", "list", "status", "doctor", "test retry_webhooks",
        "send_notifications --dry-run")
COMMANDS = (*JSON, "metrics", "queue forwards", "check_jobs --dry-run",
            "test retry_forwards", "config show", HOSTILE, f"retry_forwards --set x{HOSTILE}=1",
            f"replay forward {HOSTILE}")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """An installation whose rows hold all of it in each text that others may have written."""
    folder = tmp_path_factory.mktemp("hostile")
    db = Shell(folder, f"sqlite:///{folder}/jobs.db").db
    fill(db, clock.now())
    for table, columns in TEXTS.items():
        for column in columns:
            db.execute(f"UPDATE {{{table}}} SET {column} = coalesce({column}, '') || :hostile",
                       hostile=HOSTILE)
    db.close()
    return Shell(folder)


def obeyed(text: str) -> set[str]:
    """The signs of a text that a terminal does not show."""
    return {ascii(sign) for sign in text if sign in "\u2028\u2029" or (
        sign not in "\n\t" and unicodedata.category(sign)[0] == "C")}


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
    assert json.loads(f'"{visible(HOSTILE)}"') == HOSTILE
