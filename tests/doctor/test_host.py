"""The host area: Python, packages, a whole upload, what a process may use; and the frame of all
checks."""
from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import time

import pytest

from jobs_lib import doctor
from jobs_lib.doctor import host
from jobs_lib.doctor.network import resolve
from jobs_lib.output import findings
from tests.support.doctor_bench import ROOT
from tests.support.patience import SOON
from tests.support.shell import Shell


def test_this_host_is_in_order(lite):
    assert lite.found("host") == []


def test_the_packages_are_those_of_the_requirements():
    wanted = re.findall(r"^([\w-]+)>=([\d.]+)", (ROOT / "requirements.txt").read_text(),
                        re.MULTILINE)
    assert {(package.name, ".".join(map(str, package.least)))
            for package in host.PACKAGES} == set(wanted)


@pytest.fixture
def upload(tmp_path):
    """A copy of the bundle as FTP brings it, to be spoilt."""
    folder = tmp_path / "jobs"
    shutil.copytree(ROOT / "jobs_lib", folder / "jobs_lib",
                    ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "jobs.py", folder)
    line = Shell(tmp_path, script=folder / "jobs.py")
    line.ini("[mail]\ntransport = maildir\n[check_domains]\nenabled = no\n")
    return line


def host_of(line, **environment):
    out = line("doctor", "--offline", **environment).out
    return re.sub(r"\n +", " ", out.partition("\nconfig")[0])


@pytest.mark.slow
def test_half_an_upload_is_reported(upload):                                    # R65
    assert "problem" not in host_of(upload)
    path = upload.script.parent / "jobs_lib" / "engines" / "dry_run.py"
    path.write_bytes(path.read_bytes()[:700])
    (upload.script.parent / "jobs_lib" / "jobs" / "purge_sessions.py").write_text("")
    (upload.script.parent / "jobs_lib" / "addresses.py").write_text("# of another version\n")
    found = host_of(upload)
    for words in ("jobs_lib/engines/dry_run.py is cut off",
                  "the job purge_sessions cannot be loaded", "cannot be loaded: cannot import name",
                  "Delete the folder jobs_lib first", ("upload jobs.py and the whole folder "
                  "jobs_lib again")):
        assert words in found


@pytest.mark.slow
def test_windows_line_ends_do_no_harm(upload):                              # R65
    for path in upload.script.parent.rglob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert "problem" not in host_of(upload)


@pytest.mark.slow
def test_a_missing_package_is_told_with_how_to_get_it(upload):
    upload.ini("[core]\ndatabase = mysql://me:hunter2hunter2@localhost/mail\n[mail]\ntransport = "
               "maildir\n[dns]\nmx_hosts = mx.alias.example\n")
    (upload.folder / ".env").write_text("JOBS_MAIL_PORT=25\n")
    bare = subprocess.run([sys.executable, "-S", str(upload.script), "--config",
                           str(upload.folder / "config.ini"), "doctor", "--offline"],
                          capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    out = " ".join(bare.stdout.split())
    assert bare.returncode == 1
    for name in ("PyMySQL", "python-dotenv", "dnspython"):
        assert f"{name} is not installed" in out
    # never by pip into the system's Python, which Debian refuses; and one cause is told once
    assert re.search(r"Run `\./install\.sh --with mysql` in|/python -m pip install PyMySQL", out)
    assert out.count("PyMySQL") - out.count("install PyMySQL") == 1
    assert "Nothing is known about the database, since a package is missing" in out
    assert "did not finish" not in out
    assert "hunter2" not in out


@pytest.mark.slow
def test_a_trial_of_check_domains_tells_that_dnspython_is_missing(upload):
    upload.ini("[mail]\ntransport = maildir\n")
    bare = subprocess.run([sys.executable, "-S", str(upload.script), "--config",
                           str(upload.folder / "config.ini"), "test", "check_domains"],
                          capture_output=True, text=True)
    assert bare.returncode == 1
    assert "dnspython: not installed:" in " ".join(bare.stdout.split()), bare.stdout


def test_limits_of_the_process_are_reported(lite, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda what: (100 * 1024 ** 2 if what
                                                             == resource.RLIMIT_AS else 30, 0))
    time_found, memory = lite.found("host")
    assert "30 seconds of processor time" in time_found.what
    assert (memory.level, memory.fix.split("\n")[1:]) == ("warning",
                                                           ["  [core]", "  memory = 75MB"])


# The frame

def examined(monkeypatch, lite, *checks):
    monkeypatch.setattr(host, "CHECKS", checks)
    return [found for found in lite.all("host") if found.level != "ok"]


def test_a_check_that_breaks_is_a_finding_and_stops_no_other(lite, monkeypatch):
    def broken(_patient):
        yield findings.note("so far")
        raise ZeroDivisionError("by a-key-for-the-tests-alone-and-no-other")

    def sound(_patient):
        yield findings.note("and on")

    first, second, third = examined(monkeypatch, lite, broken, sound)
    assert (first.what, third.what) == ("so far", "and on")
    assert second.what == "The check \"broken\" did not finish: ZeroDivisionError: by ********"


def test_a_check_that_hangs_is_ended(lite, monkeypatch):
    def slow(_patient):
        time.sleep(60)
        yield

    monkeypatch.setattr(doctor, "CHECK_SECONDS", 0.3)
    began = time.monotonic()
    assert examined(monkeypatch, lite,
                    slow)[0].what == "The check \"slow\" did not finish: no answer within 0 s"
    assert time.monotonic() - began < SOON


def test_when_the_time_is_up_the_rest_is_not_begun(lite, monkeypatch):
    monkeypatch.setattr(doctor, "ALL_SECONDS", -1.0)
    assert {found.what.rpartition(": ")[2] for found in lite.all("host")} == {
        "the checks before it took all the time"}


def test_a_name_that_is_none_is_reported():
    assert resolve("127.0.0.1", 25) is None
    assert "there is no host 'a..b'" in resolve("a..b", 25)
