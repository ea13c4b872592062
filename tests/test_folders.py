"""Files of ours are made under names that nobody can guess, and never through a link that somebody
has planted."""
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.support.product import Log, folders, locks
from tests.support.shell import ROOT, Shell

VICTIM = "what is somebody's own\n"


@pytest.fixture
def victim(tmp_path):
    """A file that a stranger would like to have overwritten by us."""
    path = tmp_path / "victim"
    path.write_text(VICTIM)
    yield path
    assert path.read_text() == VICTIM
    assert path.stat().st_nlink == 1


def test_a_file_is_replaced_as_a_whole_and_a_planted_draft_is_not_followed(tmp_path, victim):  # R71
    page = tmp_path / "page.html"
    for number in range(os.getpid() - 3, os.getpid() + 3):
        (tmp_path / f"page.html.{number}.part").symlink_to(victim)
    (tmp_path / "page.html.part").symlink_to(victim)
    folders.write(str(page), "new", 0o644)
    assert (page.read_text(), page.stat().st_mode & 0o777) == ("new", 0o644)
    # no draft of ours is left
    assert len(list(tmp_path.glob("page.html.*"))) == 7


def test_logs_and_locks_are_not_written_through_a_link(tmp_path, victim):     # R71
    (tmp_path / "dig.log").symlink_to(victim)
    log = Log(SimpleNamespace(log_dir=str(tmp_path)), "dig")
    # a full one is rotated, which renames the link; so it is not full
    log.event("sent")
    lock = locks.FileLock(str(tmp_path), "dig")
    os.makedirs(os.path.dirname(lock.path), exist_ok=True)
    os.symlink(victim, lock.path)
    for use in (lock.acquire, lock.is_free):
        with pytest.raises(OSError, match="symbolic links"):
            use()


def test_the_record_of_deletions_is_not_written_through_a_link(bench, victim):     # R71
    (bench.folder / "state").mkdir(exist_ok=True)
    (bench.folder / "state" / "deletions.jsonl").symlink_to(victim)
    bench.table("users", [{"id": 1, "status": "deleted", "deleted_at": bench.ago(days=30)}])
    assert "symbolic links" in bench.fails("delete_accounts")
    assert bench.ids("users") == [1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("words", [
    "purge_sessions", "run-due", "pause retry_forwards", "resume all", "mail test me@example.org",
    "config set mail.port 587", "status", "doctor"])
def test_root_changes_nothing_in_a_state_folder_of_another_user(tmp_path, pool, words):  # R71
    """And the refused run leaves no file there, which that user could not use."""
    service = Shell(tmp_path, pool.sqlite(tmp_path))
    for path in (tmp_path / "state", *(tmp_path / "state").rglob("*")):
        os.chown(path, 65534, -1)
    before = sorted(tmp_path.rglob("*"))
    refused = service(*words.split())
    service.close()
    assert refused.code == 2
    assert "/state belongs to nobody: run it as that user: `sudo -u nobody python3" in refused.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_root_makes_nothing_beside_a_configuration_of_another_user(tmp_path):      # R71
    service = Shell(tmp_path)
    service.ini("[core]\ndatabase = sqlite:///jobs.db\n")
    os.chown(tmp_path / "config.ini", 65534, -1)
    assert "config.ini belongs to nobody" in service("migrate").err
    assert [path.name for path in tmp_path.iterdir()] == ["config.ini"]


@pytest.mark.parametrize("call", ["os.makedirs", "os.fsync", "os.rename"])
def test_nothing_is_in_a_private_folder_before_what_refuses_the_web(tmp_path, call):      # R65
    """Killed at any step of its making; the next process makes it whole."""
    code = ("import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
            "from jobs_lib import folders\n"
            f"real = {call}\n"
            "def dies(*args, **named):\n"
            "    real(*args, **named)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            f"{call} = dies\n"
            "folders.private(sys.argv[2])\n")
    path = tmp_path / "state"
    done = subprocess.run([sys.executable, "-c", code, str(ROOT), str(path)])
    assert done.returncode == -signal.SIGKILL
    assert (path / ".htaccess").exists() == (call == "os.rename")
    assert all(each.name.startswith(".htaccess") for each in path.iterdir())
    folders.private(str(path))
    assert (path / ".htaccess").exists()
    assert path.stat().st_mode & 0o777 == 0o700
