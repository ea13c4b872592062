"""A message in a Maildir is whole or not there, and never there twice."""
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.support.mail import CONTENT, ENVELOPE, soon

HEAD = b"X-Envelope-From: <bounces@service.example>\r\nX-Envelope-To: <owner@home.example>\r\n"


@pytest.fixture
def maildir(tmp_path):
    return tmp_path / "state" / "mail"


@pytest.fixture
def transport(opened, maildir):
    return opened(transport="maildir", maildir=str(maildir))


def names(maildir: Path) -> dict:
    return {folder: sorted(os.listdir(maildir / folder)) for folder in ("tmp", "new", "cur")}


def test_a_message_has_its_envelope_and_a_repeat_replaces_it(transport, maildir, stored):    # R12
    old = os.umask(0)
    try:
        for content, item in ((b"first\n", 1), (CONTENT, 1), (b"other\n", "forward-2")):
            message = stored(content, head=b"X-Trace: 1\r\n")
            assert transport.send(ENVELOPE, message, soon(), item).outcome == "sent"
    finally:
        os.umask(old)
    assert names(maildir) == {"tmp": [], "new": ["1.jobs", "forward-2.jobs"], "cur": []}
    assert (maildir / "new" / "1.jobs").read_bytes() == HEAD + b"X-Trace: 1\r\n" + CONTENT
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in maildir.parent.rglob("*")}
    assert modes == {**dict.fromkeys(("mail", "tmp", "new", "cur"), 0o700),
                     **dict.fromkeys(("1.jobs", "forward-2.jobs"), 0o600)}


@pytest.mark.parametrize("item", ["../../evil", "a/b", "a:2,S", "é\n", ".hidden", "..", ""])
def test_an_item_id_never_leaves_the_folder(transport, maildir, stored, item):
    assert transport.send(ENVELOPE, stored(), soon(), item).outcome == "sent"
    [name] = names(maildir)["new"]
    assert name.endswith(".jobs")
    assert not name.startswith(".") or name == ".jobs"
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def test_a_planted_link_is_not_followed(transport, maildir, stored, tmp_path):
    transport.send(ENVELOPE, stored(), soon(), 1)
    (maildir / "tmp" / "2.jobs").symlink_to(tmp_path / "victim")
    assert transport.send(ENVELOPE, stored(), soon(), 2).outcome == "relay"
    assert not (tmp_path / "victim").exists()


def test_a_folder_that_cannot_be_written_is_the_relays_failure(opened, stored, tmp_path):
    (tmp_path / "file").write_text("")
    transport = opened(transport="maildir", maildir=str(tmp_path / "file"))
    result = transport.send(ENVELOPE, stored(), soon(), 1)
    assert result.outcome == "relay"
    assert result.text.startswith(f"[mail] maildir = {tmp_path}/file: ")


def test_what_ends_early_is_not_in_new_and_replaced(transport, maildir, stored, monkeypatch):  # R22
    """Just before the one rename, as a kill there leaves it."""
    def ends(_file):
        raise KeyboardInterrupt
    with monkeypatch.context() as struck:
        struck.setattr(os, "fsync", ends)
        with pytest.raises(KeyboardInterrupt):
            transport.send(ENVELOPE, stored(), soon(), 1)
    assert names(maildir) == {"tmp": ["1.jobs"], "new": [], "cur": []}
    assert transport.send(ENVELOPE, stored(), soon(), 1).outcome == "sent"
    assert names(maildir) == {"tmp": [], "new": ["1.jobs"], "cur": []}
    assert (maildir / "new" / "1.jobs").read_bytes() == HEAD + CONTENT
