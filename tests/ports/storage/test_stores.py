"""A folder and a real FTPS server keep to the same; what goes wrong is one sentence."""
from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from tests.servers.certificates import Authority
from tests.servers.ftps import ENCODED, PASSWORD, Ftps
from tests.servers.web import Web, silent
from tests.support.product import ArchiveError, JobsError, ftps, open_store, place_of
from tests.support.shell import ROOT

DATA = os.urandom(300_000)


def section(store, ca_file: str = "") -> SimpleNamespace:
    return SimpleNamespace(store=str(store), ca_file=ca_file, keep=None)


@pytest.fixture(scope="module")
def server():
    with Ftps() as made:
        yield made


@pytest.fixture(params=["folder", "ftps"])
def store(request, tmp_path):
    if request.param == "folder":
        return open_store(section(tmp_path / "archives"), make=True)
    there = request.getfixturevalue("server")
    for path in there.archive.iterdir():
        path.unlink()
    return open_store(section(there.url(), there.ca_file))


def test_what_was_put_is_read_back_and_removed_alone(store):
    assert not store.remove("a.gz")             # what is not there is no error
    store.put("a.gz", DATA)
    assert not store.remove("a.gz.part")        # no draft is left
    stay = ["b.gz", "a.gz.asc", "a.gz.sha256", "a.gz.parts"]    # an operator's, some of them
    for name in ("a.gz.part", *stay):
        store.put(name, name.encode())
    assert (store.read("b.gz"), store.read("a.gz")) == (b"b.gz", DATA)
    assert [store.remove(name) for name in ("a.gz", "a.gz.part", "a.gz")] == [True, False, False]
    assert [store.read(name) for name in stay] == [name.encode() for name in stay]
    with pytest.raises(ArchiveError, match=r"\[archive\] store .*(No such file|: 550 )"):
        store.read("a.gz")


# A folder

def test_files_and_folder_are_private(tmp_path):
    folder = tmp_path / "new" / "archives"
    store = open_store(section(folder), make=True)
    store.put("a.gz", DATA)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "a.gz")] == [
        0o700, 0o600]
    access = folder / ".htaccess"
    assert "Require all denied" in access.read_text()
    access.write_text("Deny from all")                      # what it says stays
    store.put("b.gz", DATA)
    assert access.read_text() == "Deny from all"
    assert store.place == str(folder)


def test_a_full_disk_is_one_sentence_and_leaves_no_whole_file(tmp_path):
    code = """if True:
        import signal, sys
        from tests.ports.storage.test_stores import open_store, section
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        open_store(section(sys.argv[1]), make=True).put("a.gz", b"x" * 200_000)"""
    # as a quota does it
    done = subprocess.run(["prlimit", "--fsize=100000", sys.executable, "-c", code,
                           str(tmp_path / "archives")], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith(
        f"ArchiveError: [archive] store {tmp_path}/archives: [Errno 27] File too large: "
        f"'{tmp_path}/archives/a.gz'")
    assert not (tmp_path / "archives/a.gz").exists()


def test_what_the_system_refuses_is_one_sentence_with_the_place(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in ("file", "file/archives", "/proc/archives"):
        with pytest.raises(ArchiveError, match=rf"\[archive\] store.* {tmp_path / place}"):
            open_store(section(tmp_path / place), make=True)
    with pytest.raises(ArchiveError, match=r"there is no folder .*: check that"):
        open_store(section(tmp_path / "archives"))
    assert not (tmp_path / "archives").exists()


# FTPS

def test_each_file_of_the_server_is_private_and_its_place_shows_no_login(server):
    store = open_store(section(server.url(), server.ca_file))
    store.put("a.gz", DATA)
    assert stat.S_IMODE((server.archive / "a.gz").stat().st_mode) == 0o600
    assert store.place == f"ftps://localhost:{server.port}/audit"
    assert place_of(section(server.url())) == store.place
    # what it does not remove, is reported
    server.archive.chmod(0o500)
    with pytest.raises(ArchiveError, match=": 550 "):
        store.remove("a.gz")
    server.archive.chmod(0o700)
    assert store.read("a.gz") == DATA


UNKNOWN = "the certificate is not accepted: "


@pytest.mark.parametrize("change, ca_file, said", [
    ({"password": "wrong"}, None, ": 530 "), ({"folder": "nowhere"}, None, ": 550 "),
    ({"host": "127.0.0.1"}, None, UNKNOWN + "IP address mismatch"),
    ({}, "ca.pem", UNKNOWN), ({}, "", UNKNOWN),
    ({}, "none.pem", "[archive] ca_file = none.pem: No such file")])
def test_what_is_refused_is_one_sentence_without_the_password(server, tmp_path, monkeypatch,
                                                              change, ca_file, said):
    monkeypatch.chdir(tmp_path)
    Authority(tmp_path)                         # another one's
    ca_file = server.ca_file if ca_file is None else ca_file
    with pytest.raises(JobsError) as caught:
        open_store(section(server.url(**change), ca_file)).put("a.gz", b"x")
    told, host = str(caught.value), change.get("host", "localhost")
    assert said in told
    assert told.startswith((f"[archive] store ftps://{host}:{server.port}/", "[archive] ca_file"))
    assert [word for word in (PASSWORD, ENCODED) if word in told] == []


def test_a_server_that_ends_or_offers_no_tls_is_reported():
    with Ftps(rate=200_000) as server:
        store = open_store(section(server.url(), server.ca_file))

        def cut() -> None:
            while server.names() != ["a.gz.part"]:
                time.sleep(0.01)
            server.stop()
        thread = threading.Thread(target=cut)
        thread.start()
        with pytest.raises(ArchiveError, match=r"\[archive\] store ftps://localhost"):
            store.put("a.gz", DATA * 10)
        thread.join()
        assert server.names() == ["a.gz.part"]
        with pytest.raises(ArchiveError, match="Connection refused"):
            store.remove("a.gz")
    with Ftps(tls=False) as server, pytest.raises(ArchiveError, match=": 5"):
        open_store(section(server.url(), server.ca_file)).read("a.gz")


def test_a_server_that_says_nothing_is_waited_for_so_long_and_no_longer(monkeypatch):
    monkeypatch.setattr(ftps, "SECONDS", 0.2)
    with Web(silent) as mute, pytest.raises(ArchiveError, match="no answer in time"):
        open_store(section(f"ftps://me:x@127.0.0.1:{mute.port}/a")).read("a.gz")
