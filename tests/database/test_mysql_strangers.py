"""Anyone who answers in the database server's place learns no password and gets no file."""
from __future__ import annotations

import gc
import os
import shutil
import ssl
import tempfile

import pytest

from tests.servers.certificates import Authority
from tests.servers.rogue_mysql import RogueMySQL
from tests.support.product import DatabaseError, connect, dialects

PASSWORD = "jobs-0123456789-secret"
NOBODY = 65534
PINNED = hasattr(ssl, "VERIFY_X509_PARTIAL_CHAIN")      # from Python 3.10 on


def refused(url: str) -> str:
    with pytest.raises(DatabaseError) as caught:
        connect(url)
    words = str(caught.value)
    del caught
    gc.collect()        # PyMySQL leaves it to the collector to hang up
    assert PASSWORD not in words
    return words


@pytest.mark.parametrize("how", ["clear", "dialog", "old", "caching", "sha256", "sha256-switch"])
def test_a_stranger_on_the_port_is_sent_no_password(how):       # R71
    with RogueMySQL(how) as rogue:
        words = refused(f"mysql://jobs:{PASSWORD}@127.0.0.1:{rogue.port}/mail")
        assert rogue.answers() == []
    assert "asks for the password itself" in words
    assert "?unix_socket=/path" in words


@pytest.mark.parametrize("how", ["clear", "dialog"])
def test_not_even_the_right_server_is_sent_it_in_clear(tmp_path, how):      # R71
    authority = Authority(tmp_path)
    with RogueMySQL(how, tls=authority.context("localhost")) as rogue:
        refused(f"mysql://jobs:{PASSWORD}@localhost:{rogue.port}/mail?ssl_ca={authority.ca_file}")
        assert rogue.answers() == []


def test_a_verified_server_is_sent_it_by_tls(tmp_path):
    authority = Authority(tmp_path)
    here, other = authority.chain("localhost"), authority.chain("elsewhere.example")
    # by its name; whatever its name is; by its own certificate
    for chain, known in ((here, authority.ca_file), (other, f"{authority.ca_file}&tls=ca"),
                         (other, f"{other}&tls=ca" if PINNED else f"{authority.ca_file}&tls=ca")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        with RogueMySQL("caching", tls=context) as server:
            refused(f"mysql://jobs:{PASSWORD}@localhost:{server.port}/mail?ssl_ca={known}")
            assert server.answers() == [PASSWORD.encode() + b"\x00"]


def test_a_server_to_be_verified_is_sent_nothing_without_tls_or_by_a_stranger(tmp_path):  # R71
    for tls in (None, Authority(tmp_path).context("127.0.0.1")):
        with RogueMySQL("clear", tls=tls) as rogue:
            words = refused(f"mysql://jobs:{PASSWORD}@127.0.0.1:{rogue.port}/mail?tls=verify")
            assert b"jobs" not in rogue.got          # not even the user's name
        assert "see ?ssl_ca= and ?tls= in docs/security.md" in words


def test_tls_is_asked_for_off_this_machine_and_no_socket_in_a_folder_for_all_is_tried():     # R71
    open_to_all = ("/tmp", "/var/tmp", "/dev/shm")
    assert not [path for path in dialects.SOCKETS if path.startswith(open_to_all)]
    for rest, expected in {
            "db.example.org/mail": "verify", "db.example.org/mail?tls=off": "off",
            "db.example.org/mail?ssl_ca=/ca&tls=ca": "ca", "127.0.0.1/mail": "off",
            "localhost:3306/mail": "off", "localhost/mail?ssl_ca=/ca": "verify",
            "localhost/mail?unix_socket=/s": "off", "/mail?tls=verify": "verify"}.items():
        assert dialects.parse(f"mysql://jobs:x@{rest}").tls == expected, rest


def test_a_file_of_this_machine_is_never_given():                            # R71
    with RogueMySQL("file") as rogue:
        url = f"mysql://jobs:{PASSWORD}@127.0.0.1:{rogue.port}/mail"
        assert refused(url).startswith("the connection to the database server was lost: ")
        assert rogue.answers() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_a_socket_on_which_another_user_listens_is_sent_nothing():           # R71
    folder = tempfile.mkdtemp(dir="/tmp")
    os.chmod(folder, 0o777)
    try:
        os.seteuid(NOBODY)
        try:
            rogue = RogueMySQL("clear", path=f"{folder}/s")
        finally:
            os.seteuid(0)
        with rogue:
            url = f"mysql://jobs:{PASSWORD}@localhost/mail?unix_socket={folder}/s"
            for owner in (NOBODY, 0):
                # the second as if the path had been another's a moment ago
                os.chown(f"{folder}/s", owner, -1)
                assert f"user {NOBODY} listens on the socket {folder}/s" in refused(url)
        assert rogue.got == b""
    finally:
        shutil.rmtree(folder)
