"""A terminal shows the signs of a row and obeys none of them, whatever command prints it; colours
are ours alone."""
from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs_lib import clock
from jobs_lib.output.console import visible
from tests.support.databases import migrated
from tests.support.past import fill
from tests.support.shell import Shell

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
COMMANDS = [("list",), ("history", "-v"), ("status",), ("doctor",), ("metrics",),
            ("queue", "forwards"), ("retry_forwards", "--dry-run"), ("check_jobs", "--dry-run"),
            ("test", "retry_forwards"), ("test", "retry_webhooks"), ("config", "show"), (HOSTILE,),
            ("retry_forwards", "--set", f"x{HOSTILE}=1"), ("replay", "forward", HOSTILE)]
AS_JSON = [("history",), ("retry_forwards", "--dry-run"),
           *(pytest.param(words, marks=pytest.mark.slow) for words in (
               ("list",), ("status",), ("doctor",), ("test", "retry_webhooks")))]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """An installation whose rows hold all of it in each text that somebody else may have
    written."""
    folder = tmp_path_factory.mktemp("hostile")
    db = migrated(f"sqlite:///{folder}/jobs.db")
    fill(db, clock.now(), troubled=True)
    db.insert("audit_logs", user_id=1, actor="app", event="login" + HOSTILE,
              created_at="2001-01-01 00:00:00", details=json.dumps({"agent": HOSTILE},
                                                                   ensure_ascii=False))
    for table, columns in TEXTS.items():
        for column in columns:
            db.execute(f"UPDATE {{{table}}} SET {column} = coalesce({column}, '') || :hostile",
                       hostile=HOSTILE)
    # so that a run takes the files that now have other names for lost
    db.insert("attempts", kind="forward", item_id=1, began_at=clock.now(), outcome="sent")
    db.close()
    Shell(folder, f"sqlite:///{folder}/jobs.db").db.close()
    return Shell(folder)


def obeyed(text: str) -> set[str]:
    """The signs of a text that a terminal does not show."""
    return {f"{sign!a}" for sign in text
            if sign in "\u2028\u2029\u3164" or (sign not in "\n\t" and unicodedata.category(sign)[0]
                                                == "C")}


@pytest.mark.slow                   # a process for each
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words).replace(HOSTILE,
                                                                                      "HOSTILE"))
def test_no_command_lets_a_row_or_a_word_steer_the_terminal(hostile, words):     # R72
    seen = "\n".join(hostile.on_terminal(*words, TERM="xterm", NO_COLOR=""))
    assert obeyed(OURS.sub("", seen.replace("\r\x1b[K", ""))) == set()
    assert "\x1b[31m\\u001b[2J" not in seen             # a colour of the row's
    assert seen.strip()


@pytest.mark.parametrize("words", AS_JSON, ids=lambda words: " ".join(words).replace(HOSTILE,
                                                                                     "HOSTILE"))
def test_json_on_a_terminal_is_ascii_and_still_json(hostile, words):     # R72
    lines = hostile.on_terminal(*words, "--json", TERM="xterm", NO_COLOR="")
    text = "\n".join(lines)
    assert text.isascii()
    assert obeyed(text) == set()
    json.loads(text)


def test_a_pipe_gets_the_text_as_it_is(hostile):     # R72: a program reads it, and no terminal
    assert "\u202e" in hostile("history", "--json").out


@given(st.text())
def test_what_is_visible_shows_each_sign_and_stays_as_it_is(text):     # R72
    shown = visible(text)
    assert obeyed(shown) == set()
    assert visible(shown) == shown
    if text.isprintable() and not obeyed(text):
        assert shown == text or "\\u" in shown


def test_words_of_all_languages_stay_readable():     # R72
    for text in ("Grüße, \u4f60\u597d \u05e9\u05dc\u05d5\u05dd 10\u00a0000 \U0001f600", "a\tb\nc"):
        assert visible(text) == text
    assert visible("a\r\nb") == "a\nb"
    assert json.loads(f'"{visible(HOSTILE)}"') == HOSTILE
