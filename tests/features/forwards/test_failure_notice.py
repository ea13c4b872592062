"""A notice has its own words for each reason that a message was not offered to the other server."""
from __future__ import annotations

import ast
import os
from collections import namedtuple
from datetime import datetime, timezone

import pytest

from jobs_lib.engines import spool
from jobs_lib.features.forwards import failure_notice, srs
from jobs_lib.ports.mail import content, reasons, smtp_exchange
from tests.house.source import ROOT, modules

DECLARED = {name: value for name, value in vars(reasons).items()
            if isinstance(value, reasons.Reason)}
Sized = namedtuple("Sized", "size eight_bit")
NOW = datetime(2026, 11, 24, 14, 30, tzinfo=timezone.utc)

# What earlier versions have stored. A sentence that is reworded does not leave this list.
STORED = (
    ("the message has 40000000 octets, the relay takes at most 20000000", "too large for our"),
    ("the message holds 8-bit data, the relay takes only 7-bit (no 8BITMIME)", "in this format"),
    ("the address is not ASCII, the relay takes only ASCII (no SMTPUTF8)", "special characters"),
    ("the sender cannot be rewritten: the address is empty", "sender's address is not valid"),
    ("the stored message cannot be read: Permission denied", "on our side"),
    ("the stored message changed while it was sent", "on our side"),
    ("/srv/spool/1.eml may not be read by the user that runs the jobs", "on our side"),
    ("stopped before a connection was made", "on our side"),
    ("no time was left to make a connection", "on our side"),
    ("it could not be sent: an error of ours (KeyError)", "on our side"),
    ("UnicodeError: a byte that is no letter", "on our side"),
    ("the stored message is missing", "no longer have the content"),
    ("the stored message is empty", "no longer have the content"),
    ("the stored message is not a regular file", "no longer have the content"),
    ("the path of the stored message is not a path", "no longer have the content"),
    ("raw_path '/etc/passwd': expected a path below the spool folder, without '..'",
     "no longer have the content"),
    ("raw_path 'a/b': 'a' is a link, which is never followed", "no longer have the content"),
    ("raw_path b'x': expected text", "no longer have the content"),
)


def explained(text: str) -> list[str]:
    """The names of the reasons that a text is recognised as."""
    return [name for name, reason in DECLARED.items() if reason.explains(text)]


@pytest.mark.parametrize("name", DECLARED)
def test_each_reason_has_its_wording(name):        # R27
    assert DECLARED[name] in failure_notice.BY_REASON


@pytest.mark.parametrize("text, why", STORED)
def test_a_row_that_an_earlier_version_stored_is_understood(text, why):        # R27
    said, _, never_offered = failure_notice.in_words(None, text)
    assert why in said
    assert never_offered


def test_no_text_has_two_reasons():
    assert [text for text, _ in STORED if len(explained(text)) > 1] == []


@pytest.mark.parametrize("features, addresses, size, eight_bit, name", [
    ({"size": "100"}, "", 101, False, "TOO_LARGE"),
    ({}, "", 1, True, "EIGHT_BIT"),
    ({}, "jürgen@home.example", 1, False, "NOT_ASCII"),
])
def test_what_the_relay_cannot_take_is_recognised(features, addresses, size, eight_bit, name):
    outgoing = smtp_exchange.Outgoing("", addresses, Sized(size, eight_bit))
    result = smtp_exchange.unsendable(features, outgoing)
    assert explained(result.text) == [name]


@pytest.mark.parametrize("make, name", [
    (lambda path: None, "MISSING"), (lambda path: path.touch(), "EMPTY"),
    (lambda path: path.mkdir(), "NOT_A_FILE"), (lambda path: path.symlink_to(path), "UNREADABLE"),
])
def test_a_stored_message_that_is_none_is_recognised(tmp_path, make, name):
    make(tmp_path / "raw")
    with pytest.raises(content.Unsendable) as caught:
        content.open_raw(str(tmp_path / "raw"))
    assert explained(caught.value.text) == [name]


@pytest.mark.parametrize("raw_path", ["../x", b"x", "link/x", "a{b}\\"])
def test_a_bad_path_is_recognised(tmp_path, raw_path):
    os.symlink(tmp_path, tmp_path / "link")
    with pytest.raises(spool.SpoolError) as caught:
        spool.locate(str(tmp_path), raw_path)
    assert explained(str(caught.value)) == ["BAD_PATH"]


def test_a_bad_sender_is_recognised():
    with pytest.raises(srs.SrsError) as caught:
        srs.forward("no {address}", "ours.example", "secret", NOW)
    assert explained(str(caught.value)) == ["BAD_SENDER"]


def test_a_refusal_without_a_reply_has_a_declared_reason():
    """In a Result without a reply and without a status code, prose of its own would be recognised
    by nobody. What was sent or is the relay's failure is no row's last error."""
    wrong = []
    for name, path in modules().items():
        if not name.startswith(("jobs_lib.ports.mail", "jobs_lib.features.forwards",
                                "jobs_lib.engines")):
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("Result", "Unsendable"):
                outcome, *_, reason = call.args
                if (ast.unparse(outcome) not in ("SENT", "RELAY")
                        and isinstance(reason, (ast.Constant, ast.JoinedStr))):
                    wrong.append(f"{path.relative_to(ROOT)}:{call.lineno}: {ast.unparse(reason)}")
    assert wrong == []
