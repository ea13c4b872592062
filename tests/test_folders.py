"""Files of ours are made under names that nobody can guess, and never through a link that somebody
has planted."""
from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs_lib import clock, folders
from jobs_lib.commands import mail, pause, resume
from jobs_lib.config import loader
from jobs_lib.errors import JobsError, UsageError
from jobs_lib.runner import access, incident_files, locks
from jobs_lib.runner.log import Log
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


# R71
def test_a_file_is_replaced_as_a_whole_and_a_planted_draft_is_not_followed(tmp_path, victim):
    page = tmp_path / "page.html"
    for number in range(os.getpid() - 3, os.getpid() + 3):
        (tmp_path / f"page.html.{number}.part").symlink_to(victim)
    (tmp_path / "page.html.part").symlink_to(victim)
    folders.write(str(page), "new", 0o644)
    assert (page.read_text(), page.stat().st_mode & 0o777) == ("new", 0o644)
    # no draft of ours is left
    assert len(list(tmp_path.glob("page.html.*"))) == 7


# R71
def test_a_link_at_the_name_itself_is_replaced_and_not_followed(tmp_path, victim):
    (tmp_path / "page").symlink_to(victim)
    folders.write(str(tmp_path / "page"), "new")
    assert not (tmp_path / "page").is_symlink()


# R71
def test_a_draft_has_another_name_each_time_and_is_new(tmp_path, monkeypatch):
    seen = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, flags, *how, **more: seen.append((path, flags))
                        or real(path, flags, *how, **more))
    for _ in range(3):
        folders.write(str(tmp_path / "page"), "new")
    assert len({path for path, _ in seen}) == 3
    assert all(flags & os.O_EXCL and flags & os.O_NOFOLLOW for _, flags in seen)


def test_a_failed_write_leaves_no_draft(tmp_path):
    (tmp_path / "page").mkdir()
    with pytest.raises(OSError):
        folders.write(str(tmp_path / "page"), "new")
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


# R71
def test_logs_and_locks_are_not_written_through_a_link(tmp_path, victim, capsys):
    (tmp_path / "dig.log").symlink_to(victim)
    log = Log(str(tmp_path), "dig")
    # a full one is rotated, which renames the link; so it is not full
    log.event("sent")
    assert "is a link" in capsys.readouterr().err
    lock = locks.FileLock(str(tmp_path), "dig")
    os.makedirs(os.path.dirname(lock.path), exist_ok=True)
    os.symlink(victim, lock.path)
    for use in (lambda: lock.acquire("somebody"), lock.is_free):
        with pytest.raises(JobsError, match="is a link"):
            use()


# R71
def test_the_record_of_deletions_is_not_written_through_a_link(bench, tmp_path):
    from jobs_lib.features.accounts import erase
    victim = tmp_path / "victim"
    victim.write_text(VICTIM)
    state = tmp_path / "record"
    state.mkdir()
    (state / "deletions.jsonl").symlink_to(victim)
    ctx = SimpleNamespace(db=bench.db, section=lambda _: SimpleNamespace(state_dir=str(state)))
    with pytest.raises(JobsError, match="is a link"):
        erase.note_erased(ctx, {"user_id": 1})
    assert victim.read_text() == VICTIM


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("words", [["purge_sessions"], ["run-due"]])
# R71
def test_a_state_folder_of_another_user_is_refused(tmp_path, pool, words):
    """And the refused run leaves no file there, which that user could not use."""
    service = Shell(tmp_path, pool.sqlite(tmp_path))
    for path in (tmp_path / "state", *(tmp_path / "state").rglob("*")):
        os.chown(path, 65534, -1)
    before = sorted(tmp_path.rglob("*"))
    process = service.start(*words)
    err = process.communicate(timeout=60)[1]
    service.db.close()
    assert process.returncode == 1
    assert f"{tmp_path}/state belongs to user 65534, and this is user 0" in err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("module, command, what", [
    (pause, "pause", SimpleNamespace(name="retry_forwards")), (pause, "pause", "all"),
    (resume, "resume", "mail"), (mail, "mail test", "me@example.org")])
# R71
def test_root_changes_nothing_for_another_user(tmp_path, module, command, what):
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 65534, -1)
    (tmp_path / "config.ini").write_text("[core]\nstate_dir = state\n")
    session = SimpleNamespace(config=loader.load(None, beside=str(tmp_path), environ={}))
    args = SimpleNamespace(what=what, address=what, json=False)
    said = f"run `sudo -u nobody .* {command} {getattr(what, 'name', what)}`"
    with pytest.raises(UsageError, match=said):
        module.run(args, lambda _path: session, None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
# R71
def test_the_fix_for_several_files_is_for_their_folder(tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    for name in ("incident-files", "incident-files.said"):
        (state / name).touch(mode=0o600)
    os.chown(state, 65534, -1)
    (tmp_path / "config.ini").write_text("[core]\nstate_dir = state\n")
    config = loader.load(None, beside=str(tmp_path), environ={})
    assert [each.fix for each in access.found(config)] == [
        f"run the jobs always as nobody, and `chown -R nobody {state}` as root"]
    incident = incident_files.IncidentFile(config.section("core"), incident_files.DATABASE)
    incident.record_error(clock.now(), "no answer")             # by root: nowhere
    assert not list(state.glob("incident-database*"))


@pytest.mark.parametrize("call", ["mkdir", "write", "rename"])
def test_a_private_folder_is_never_there_without_what_refuses_the_web(tmp_path, call):      # R65
    """Killed at any step of its making; the next process makes it."""
    code = ("import os, signal, sys; sys.path.insert(0, sys.argv[1])\n"
            "from jobs_lib import folders\n"
            "owner = folders if sys.argv[3] == 'write' else os\n"
            "real = getattr(owner, sys.argv[3])\n"
            "def dies(*args, **named):\n"
            "    real(*args, **named)\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            "setattr(owner, sys.argv[3], dies)\n"
            "folders.private(sys.argv[2])\n")
    path = tmp_path / "state"
    done = subprocess.run([sys.executable, "-c", code, str(ROOT), str(path), call])
    assert done.returncode == -signal.SIGKILL
    assert path.exists() == (path / ".htaccess").exists()
    folders.private(str(path))
    assert (path / ".htaccess").exists()
    assert path.stat().st_mode & 0o777 == 0o700


# What killed processes leave

MARK, LONG_MARK = "0123456789ab", "0123456789abcdef"
OLD = 24 * 3600 + 60


def left(path: Path, age: float = OLD) -> Path:
    """A file or folder that was last changed this many seconds ago."""
    os.utime(path, (time.time() - age,) * 2)
    return path


def draft(path: Path, age: float = OLD) -> Path:
    path.write_text("half")
    return left(path, age)


def folder_draft(path: Path, *names: str, age: float = OLD) -> Path:
    path.mkdir()
    for name in names:
        (path / name).write_text("")
    return left(path, age)


def test_drafts_that_killed_processes_left_are_removed_and_nothing_else(tmp_path):       # R2
    gone = [draft(tmp_path / f"secret.{LONG_MARK}.part"),
            draft(tmp_path / f"dig#1.json.{LONG_MARK}.part"),
            folder_draft(tmp_path / f"locks.{MARK}.part"), folder_draft(tmp_path / f"a.{MARK}.part",
                                                                        ".htaccess"),
            folder_draft(tmp_path / f"b.{MARK}.part", ".htaccess", f".htaccess.{LONG_MARK}.part")]
    link = tmp_path / f"link.{LONG_MARK}.part"
    link.symlink_to(draft(tmp_path / "target"))
    os.utime(link, (1, 1), follow_symlinks=False)
    kept = [draft(tmp_path / f"young.{LONG_MARK}.part", age=OLD - 120),
            draft(tmp_path / "movie.part"), draft(tmp_path / f".{LONG_MARK}.part"),
            draft(tmp_path / "x.0123456789abcdeF.part"), draft(tmp_path / f"secret.{LONG_MARK}"),
            folder_draft(tmp_path / f"full.{MARK}.part", ".htaccess", "mine"), link, tmp_path
            / "target"]
    assert sorted(folders.sweep_drafts(str(tmp_path), time.time())) == sorted(path.name
                                                                              for path in gone)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    assert (tmp_path / f"full.{MARK}.part" / ".htaccess").exists()


def test_a_draft_of_another_user_stays(tmp_path, monkeypatch):
    draft(tmp_path / f"secret.{LONG_MARK}.part")
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert folders.sweep_drafts(str(tmp_path), time.time()) == []


def test_a_folder_that_is_not_there_has_no_drafts(tmp_path):
    assert folders.sweep_drafts(str(tmp_path / "none"), time.time()) == []


# R63: it was OSError with a line of code
def test_a_key_that_cannot_be_made_is_one_sentence(tmp_path, bench):
    def limited() -> None:                      # as a full disk does it
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    code = ("import signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
            "from jobs_lib import folders; folders.secret_key(sys.argv[1], '')")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT,
                          capture_output=True, text=True, preexec_fn=limited)
    assert done.stderr.splitlines()[-1].endswith(
        f"NoAccess: the installation's key cannot be kept: {tmp_path}/secret: File too large: put "
        "that right, or set [core] secret_key")
    assert not (tmp_path / "secret").exists()
    (bench.folder / "state/secret").mkdir(parents=True)
    bench.table("users", [{"id": 1, "status": "deleted", "deleted_at": bench.ago(hours=1)}])
    assert bench.fails("delete_accounts") == (
        f"the installation's key cannot be kept: {bench.folder}/state/secret: Is a directory: put "
        "that right, or set [core] secret_key")
