"""The files area: modes, web roots, network file systems, room."""
from __future__ import annotations

import errno
import os
import re
import shutil

import pytest

from jobs_lib.doctor import files
from jobs_lib.doctor.mounts import file_system
from jobs_lib.doctor.writable import open_to_others
from tests.support.doctor_bench import ROOT


def test_private_files_are_in_order(lite):
    assert lite.found("files") == []


@pytest.mark.parametrize("mode, who", [(0o644, "everyone on this host"), (0o640, "your group")])
def test_a_config_with_a_secret_that_others_can_read_is_a_problem(lite, mode, who):         # R65
    path = lite.folder / "config.ini"
    lite.configure("mail", password="hunter2hunter2")
    path.chmod(mode)
    found = lite.one("files", who)
    assert (found.level, found.fix.split("\n")[1]) == ("problem", f"  chmod 600 {path}")
    assert "hunter2" not in "".join(found)
    path.chmod(0o600)
    assert lite.found("files") == []


def test_without_a_secret_it_is_a_note(lite):
    lite.sections["core"].pop("secret_key")
    lite.configure("core")
    (lite.folder / "config.ini").chmod(0o644)
    assert lite.one("files", "holds no secret that is known").level == "note"


@pytest.mark.parametrize("name, level", [("state", "problem"), ("spool", "problem"),
                                         ("log", "warning")])
def test_a_folder_that_others_can_look_into_comes_with_its_chmod(lite, name, level):
    (lite.folder / name).chmod(0o755)
    found = lite.one("files", "mode 755")
    assert (found.level, found.fix.split("\n")[1]) == (level, f"  chmod 700 {lite.folder / name}")


def test_a_key_and_a_database_that_others_can_read_are_problems(lite):
    (lite.folder / "state" / "secret").write_text("key")
    for name in ("state/secret", "jobs.db"):
        (lite.folder / name).chmod(0o644)
    assert [found.fix.split("\n")[1] for found in lite.found("files")] == [
        f"  chmod 600 {lite.folder}/state/secret", f"  chmod 600 {lite.folder}/jobs.db"]


def test_a_missing_folder_and_one_that_is_none(lite):
    shutil.rmtree(lite.folder / "spool")
    assert "jobs.py migrate" in lite.one("files", "[spool] dir: there is no folder").fix
    (lite.folder / "spool").write_text("")
    told, = [each for each in lite.found("config") if each.level == "problem"]
    assert told.what.startswith(f"[spool] dir: {lite.folder}/spool is not a folder but a file")
    assert not lite.found("files")


# What others can change

@pytest.mark.parametrize("name", ["config.ini", "state", "log", "spool", ".", "letters"])
@pytest.mark.parametrize("mode, who", [(0o777, "everyone on this host"), (0o770, "the group 4711")])
def test_what_others_can_change_is_a_problem(lite, name, mode, who):                        # R71
    path = lite.folder / name
    if name == "letters":
        path.mkdir(mode=0o700)
        lite.configure("notifications", templates="letters")
    usual = path.stat().st_mode
    if os.geteuid() == 0:
        os.chown(path, -1, 4711)
    elif mode == 0o770:
        pytest.skip("only root can give a file to a group")
    path.chmod(mode)
    found = [each for each in lite.found("files") if f"{path} can be written by {who}" in each.what]
    assert [each.level for each in found] == ["problem"]
    assert f"  chmod go-w {path}" in found[0].fix
    first, *_ = files.changeable_by_others(open_to_others(lite.examined().config))
    assert first.what == f"{path} can be written by {who}"
    path.chmod(usual)
    assert not [each for each in lite.found("files") if "can be written" in each.what]


@pytest.mark.parametrize("name", ["jobs.py", "jobs_lib/cli/main.py", "vendor", ".venv/lib"])
def test_a_program_that_others_can_change_is_a_problem(lite, name):                         # R71
    path = lite.folder / "upload" / name
    path.parent.mkdir(parents=True)
    path.write_text("") if name.endswith(".py") else path.mkdir()
    lite.script = str(lite.folder / "upload" / "jobs.py")
    path.chmod(0o646)
    assert [each.level for each in lite.found("files")
            if each.what.startswith(f"{path} can be")] == ["problem"]
    path.chmod(0o755)
    assert not [each for each in lite.found("files") if "can be written" in each.what]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_another_user_is_a_problem(lite):                                   # R71
    """As seen by root in an installation of user 4711, whose config.ini another one could
    change."""
    os.chown(lite.folder / "state", 4711, -1)
    os.chown(lite.folder / "config.ini", 4712, -1)
    found = next(each for each in lite.found("files") if f"{lite.folder}/config.ini belongs to "
                 "user 4712" in each.what)
    assert f"  chown -R 4711 {lite.folder}/config.ini" in found.fix


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("names", [["."], ["config.ini"], ["state"],
                                   ["config.ini", "state", "spool", "jobs.db"]])
def test_root_is_sent_to_the_user_of_the_installation(lite, names):                         # R71
    for name in names:
        os.chown(lite.folder / name, 65534, -1)
    found = lite.found("host", "files")
    assert not [each for each in found if re.search("chown -R (0|root)", each.fix)]
    told, = [each for each in found if each.what.startswith("This installation belongs to user "
                                                            "nobody")]
    assert told.level == "warning"
    command = f"python3 {lite.script} --config {lite.folder}/config.ini doctor"
    assert f"  sudo -u nobody {command}" in told.fix


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to a group")
def test_no_folder_of_the_system_is_to_be_changed(lite, tmp_path_factory):
    """A folder that others use too, as /var/log and /var/mail are: a changed mode or owner could
    break theirs."""
    shared = tmp_path_factory.mktemp("shared")
    (shared / "log").mkdir()
    os.chown(shared, -1, 4711)
    shared.chmod(0o775)
    lite.configure("core", log_dir=str(shared))
    found = next(each for each in lite.found("files") if f"{shared} can be written by" in each.what)
    assert found.fix == "Keep what the jobs use in a folder that nobody else can change."


def test_a_group_of_this_user_alone_is_nobody_else(lite):
    (lite.folder / "config.ini").chmod(0o660)
    assert not [each for each in lite.found("files") if "can be written" in each.what]


def test_a_temporary_folder_is_no_home(lite):                                               # R71
    notes = [each for each in lite.all("files") if "temporary folder /tmp" in each.what]
    assert [each.level for each in notes] == ["note"] * str(lite.folder).startswith("/tmp/")


# The web

@pytest.mark.parametrize("name", ["public_html", "www", "htdocs", "httpdocs", "Public", "html"])
def test_secrets_under_a_web_root_are_refused(lite, name):                  # R65
    root = lite.folder / name
    root.mkdir(mode=0o700)
    shutil.move(lite.folder / "state", root / "state")
    lite.configure("core", state_dir=f"{name}/state")
    found = next(found for found in lite.found("files") if "web root" in found.what)
    assert (found.level, f"[core] state_dir lies below the web root {root}") == ("problem",
                                                                                 found.what)
    assert "obeyed by Apache alone" in found.why                # our folders have a .htaccess
    assert "  curl -I https://example.org/state/" in found.fix.split("\n")


def test_a_whole_installation_under_a_web_root_names_all_that_lies_there(lite):             # R65
    root = lite.folder / "public_html"
    root.mkdir(mode=0o700)
    for name in ("state", "log", "spool", "jobs.db", "config.ini"):
        shutil.move(lite.folder / name, root / name)
    shutil.rmtree(root / "spool")
    lite.folder = root
    lite.configure("core", database="sqlite:///jobs.db")
    os.mkdir(root / "spool", 0o700)                             # without a .htaccess
    lite.script = str(root / "jobs.py")
    found = next(found for found in lite.found("files") if "web root" in found.what)
    assert found.what == ("the program, config.ini, [core] state_dir, [core] log_dir, [spool] "
                          f"dir, the database file lie below the web root {root}")
    assert f"no .htaccess of ours above {root}" in found.why
    assert "  curl -I https://example.org/config.ini" in found.fix.split("\n")


def test_a_link_into_a_web_root_counts(lite):                               # R65
    root = lite.folder / "htdocs"
    root.mkdir()
    shutil.move(lite.folder / "state", root / "state")
    (lite.folder / "state").symlink_to(root / "state")
    assert any("below the web root" in found.what for found in lite.found("files"))


@pytest.mark.parametrize("path, root", [
    ("/home/you/public_html/jobs", "/home/you/public_html"), ("/home/you/jobs", None),
    ("/var/www/html/jobs", "/var/www/html"), ("/var/www/jobs", None),
    ("/var/www/vhosts/example.org/jobs", None),
    ("/var/www/vhosts/example.org/httpdocs/x", "/var/www/vhosts/example.org/httpdocs"),
    ("/home/you/www", "/home/you/www"), ("/srv/www/htdocs", "/srv/www/htdocs"),
    ("/home/you/wwwold/jobs", None),
    ("/var/www/clients/client1/web1/web/x", "/var/www/clients/client1/web1/web"),
    ("/home/public_htmls/x", None),
])
def test_web_roots_are_known_by_their_names(path, root):
    assert files._below(path) == root


def test_a_front_page_above_is_a_hint(lite):
    (lite.folder / "index.php").write_text("<?php")
    assert lite.one("files", "index.php").level == "warning"


# Locks, room, modes

def mounts(lite, kind: str) -> str:
    return f"/dev/sda1 / ext4 rw 0 0\nnas:/home {lite.folder} {kind} rw 0 0\n"


@pytest.mark.parametrize("kind", ["nfs4", "nfs", "cifs", "fuse.sshfs"])
def test_a_network_file_system_is_reported(lite, kind):
    lite.mounts = mounts(lite, kind)
    locks, database = lite.found("files")
    assert (locks.level, database.level) == ("warning", "problem")
    assert f"network file system ({kind})" in locks.what
    assert "[core] lock = database" in locks.fix
    assert "use MySQL" in database.fix


def test_a_local_one_is_in_order(lite):
    lite.mounts = mounts(lite, "xfs")
    assert lite.found("files") == []


def test_the_innermost_mount_counts():
    text = ("/dev/sda1 / ext4 rw 0 0\nnas:/a /home nfs4 rw 0 0\n"
            "/dev/sdb1 /home/you\\040two xfs rw 0 0\nnone /ho tmpfs 0")
    assert [file_system(text, path) for path in ("/home/you two/jobs", "/home/other", "/etc",
                                                 "/homework")] == [
        "xfs", "nfs4", "ext4", "ext4"]
    assert file_system("", "/home") == ""


def test_a_disk_that_is_nearly_full_is_reported(lite, monkeypatch):
    """On a disk of a few megabytes, if one may be mounted here; else by where the limits lie."""
    free = os.statvfs(lite.folder)
    monkeypatch.setattr(files, "TIGHT", free.f_bavail * free.f_frsize * 2)
    assert lite.one("files", "are free on the disk").level == "warning"
    monkeypatch.setattr(files, "LITTLE", free.f_bavail * free.f_frsize * 2)
    assert lite.one("files", "are free on the disk").level == "problem"


def test_a_full_disk_is_told_once(lite, monkeypatch):
    """By its room; that no file can be written follows from it."""
    monkeypatch.setattr(files, "free", lambda path: 0)
    monkeypatch.setattr(os, "fsync", _no_space)
    assert "Make room" in lite.one("files", "0 bytes are free on the disk").fix


def test_a_quota_that_is_used_up_is_no_full_disk(lite, monkeypatch):
    monkeypatch.setattr(os, "fsync", _no_space)
    found = lite.one("files", "A file of 1 MB cannot be written")
    assert found.why == "The disk has room, so the quota of this account is used up."
    assert "ask your host for more" in found.fix


def _no_space(handle: int):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_disk_that_is_mounted_read_only_is_one_cause(lite, monkeypatch):
    lite.configure("export", dir="exports")
    monkeypatch.setattr(files, "is_read_only", lambda path: True)
    monkeypatch.setattr(os, "access", lambda path, mode: mode & os.W_OK == 0)
    found = lite.one("files", "Mounted read-only is the disk of [core] state_dir (")
    assert "[core] log_dir (" in found.what
    assert "chmod" not in found.fix
    assert "ask your host" in found.fix


def test_folders_that_are_missing_are_one_cause(lite):
    for name in ("state", "spool"):
        shutil.rmtree(lite.folder / name)
    assert "`jobs.py migrate` makes it" in lite.one(
        "files", "[core] state_dir, [spool] dir: there is no folder").fix


def test_nothing_stays_of_what_is_written(lite):
    before = sorted(os.listdir(lite.folder / "state"))
    assert before == [".htaccess", "installation"]
    lite.found("files")
    assert sorted(os.listdir(lite.folder / "state")) == before


def test_the_clock_of_the_file_system_is_compared(lite):
    from datetime import timedelta

    from jobs_lib import clock
    lite.now = clock.now() + timedelta(seconds=90)
    assert lite.one("files", "differs from this machine's by").level == "warning"


def test_a_folder_that_does_not_refuse_the_web_is_noted(lite):              # R65
    (lite.folder / "spool" / ".htaccess").unlink()
    assert "Require all denied" in lite.one("files", "refuses the web").fix


def test_the_bundle_refuses_the_web_by_itself():                            # R65
    assert files._refuses(str(ROOT), os.sep)
