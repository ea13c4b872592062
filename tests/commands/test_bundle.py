"""What is uploaded: everything that is needed, nothing that is private, the same bytes each time,
and it runs."""
from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.shell import copy_program


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of the program with a configuration, a password and mail of its own."""
    folder = tmp_path_factory.mktemp("source") / "jobs"
    copy_program(folder)
    (folder / "config.ini").write_text("[mail]\npassword = private-password\n")
    (folder / ".env").write_text("JOBS_MAIL_PASSWORD=private-password\n")
    (folder / "var" / "spool").mkdir(parents=True)
    (folder / "var" / "spool" / "1.eml").write_text("private-password")
    (folder / "jobs_lib" / "__pycache__").mkdir()
    (folder / "jobs_lib" / "__pycache__" / "cli.cpython-311.pyc").write_bytes(b"private-password")
    return folder


@pytest.fixture(scope="module")
def bundle(source, tmp_path_factory):
    """`bundle("b.zip")` makes one and returns where it is."""
    def make(name: str, *words: str) -> Path:
        output = tmp_path_factory.mktemp("made") / name
        made = subprocess.run([sys.executable, source / "jobs.py", "bundle", "--output", output,
                               *words], text=True, capture_output=True)
        assert made.returncode == 0, made.stderr
        assert str(output.stat().st_size) in made.stdout.replace(",", "") or output.is_dir()
        return output
    return make


@pytest.fixture(scope="module")
def archive(bundle) -> Path:
    return bundle("b.zip")


def run(folder: Path, script: str, *words: str, python: str = sys.executable) -> str:
    """As a host would: an empty environment, and no package of this Python's own (-S and no user's
    folder)."""
    done = subprocess.run([python, "-S", "-s", str(folder / script), *words], cwd="/", env={},
                          text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_zip_has_all_of_it_in_one_folder(archive):                # R65
    names = zipfile.ZipFile(archive).namelist()
    assert {name.partition("/")[0] for name in names} == {"jobs"}
    for needed in ("jobs.py", "jobs.pyz", ".htaccess", "config.ini.example", "crontab.txt",
                   "docs/install.md", "jobs_lib/cli/main.py",
                   "jobs_lib/features/notifications/templates/layout.html",
                   "vendor/pymysql/__init__.py",
                   "vendor/dotenv/__init__.py", "vendor/dns/resolver.py"):
        assert f"jobs/{needed}" in names
    assert [name for name in names if "__pycache__" in name or "tests/" in name
            or name.endswith(".pyc")] == []


def test_every_file_of_the_program_goes_in(archive, source):         # R65
    ours = {str(path.relative_to(source)) for path in (source / "jobs_lib").rglob("*")
            if path.is_file() and path.suffix != ".pyc"}
    assert ours <= {name.partition("/")[2] for name in zipfile.ZipFile(archive).namelist()}


def test_nothing_of_the_installation_goes_in(archive, bundle):
    with zipfile.ZipFile(archive) as made:
        names = made.namelist()
        assert not {"jobs/config.ini", "jobs/.env"} & set(names)
        assert [name for name in names if "/var/" in name] == []
        assert [name for name in names if b"private-password" in made.read(name)] == []
    assert b"private-password" not in bundle("p.pyz").read_bytes()


def test_the_same_files_make_the_same_bytes(source, archive, bundle):
    for path in source.rglob("*"):
        os.utime(path, (1, 1))
        if path.is_file():
            path.chmod(0o600)
    assert bundle("again.zip").read_bytes() == archive.read_bytes()


def test_modes_do_not_depend_on_the_upload(archive):
    for entry in zipfile.ZipFile(archive).infolist():
        program = entry.filename in ("jobs/jobs.py", "jobs/jobs.pyz", "jobs/install.sh")
        assert entry.external_attr >> 16 & 0o777 == (0o755 if program else 0o644), entry.filename


@pytest.mark.parametrize("script", ["jobs.py", "jobs.pyz"])
def test_an_unpacked_bundle_runs_with_an_empty_environment(archive, tmp_path, script):
    zipfile.ZipFile(archive).extractall(tmp_path)
    folder = tmp_path / "jobs"
    assert "up to date" in run(folder, script, "migrate")
    ran = json.loads(run(folder, script, "run-due", "--json"))
    # none, unless a minute has turned since
    assert {each["status"] for each in ran} <= {"ok"}
    assert f"{folder}/{script}" in run(folder, script, "crontab")
    assert (folder / "var" / "jobs.db").exists()


def test_a_single_file_runs_alone_and_keeps_its_data_beside_it(bundle, tmp_path):
    shutil.copy(bundle("jobs.pyz"), tmp_path / "jobs.pyz")
    run(tmp_path, "jobs.pyz", "migrate")
    assert "6 sent" in run(tmp_path, "jobs.pyz", "demo", "-v")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo", "jobs.pyz", "var"]


@pytest.mark.parametrize("blank_url", ["mariadb"], indirect=True)
@pytest.mark.mariadb
def test_a_single_file_has_the_driver_for_mysql_inside(bundle, tmp_path, blank_url):
    shutil.copy(bundle("jobs.pyz"), tmp_path / "jobs.pyz")
    (tmp_path / "config.ini").write_text(f"[core]\ndatabase = {blank_url}\n")
    assert "up to date" in run(tmp_path, "jobs.pyz", "migrate")
    assert "nothing" not in run(tmp_path, "jobs.pyz", "list")


def test_a_folder_is_made_whole_or_refused(bundle, source):
    folder = bundle("to upload")
    assert (folder / "jobs.py").stat().st_mode & 0o777 == 0o755
    assert (folder / ".htaccess").exists()
    again = subprocess.run([sys.executable, source / "jobs.py", "bundle", "--output", folder],
                           text=True, capture_output=True)
    assert again.returncode == 1
    assert "not empty" in again.stderr


def test_packages_that_are_missing_are_named(source, tmp_path):
    made = subprocess.run([sys.executable, source / "jobs.py", "bundle", "--packages", tmp_path],
                          text=True, capture_output=True)
    assert made.returncode == 1
    assert "PyMySQL, python-dotenv, dnspython: not found in" in made.stderr
    assert "./install.sh bundle" in made.stderr


def test_the_program_itself_is_not_overwritten(source):
    before = (source / "jobs.py").read_bytes()
    made = subprocess.run([sys.executable, "jobs.py", "bundle", "--output", "jobs.py"], cwd=source,
                          text=True, capture_output=True)
    assert (made.returncode, made.stdout) == (1, "")
    assert "name another file, such as dist/jobs.py" in made.stderr
    assert (source / "jobs.py").read_bytes() == before


def test_a_single_file_makes_no_bundle(bundle, tmp_path):
    shutil.copy(bundle("jobs.py"), tmp_path / "jobs.py")
    for _ in ("from memory", "unpacked"):
        made = subprocess.run([sys.executable, tmp_path / "jobs.py", "bundle"], text=True,
                              capture_output=True)
        assert (made.returncode, made.stdout) == (1, "")
        assert "a copy of it is enough" in made.stderr
