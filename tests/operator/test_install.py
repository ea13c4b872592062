"""install.sh on the hosts it will meet: no network, no venv module, no pip, an upload that spoilt
the line ends.

It runs with an empty environment, in a folder with a space in its name, called from another folder.
"""
from __future__ import annotations

import hashlib
import json
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.house.source import ROOT
from tests.support.shell import copy_program, on_terminal

pytestmark = pytest.mark.slow

@pytest.fixture
def host(tmp_path):
    """A copy of the bundle as an upload leaves it: no run bits."""
    folder = tmp_path / "my host"
    copy_program(folder)
    (folder / "install.sh").chmod(0o644)
    return folder


@pytest.fixture
def install(host, tmp_path):
    """`sh install.sh ...` with an empty environment; packages come from `tmp_path/wheels` only."""
    def run(*words: str, blocked: tuple[str, ...] = (),
            **environment: str) -> subprocess.CompletedProcess[str]:
        shadow = tmp_path / "shadow"
        shadow.mkdir(exist_ok=True)
        for module in blocked:
            (shadow / f"{module}.py").write_text("raise ImportError('this Python has none')\n")
        environment = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "PIP_NO_INDEX": "1",
                       "PIP_FIND_LINKS": str(tmp_path / "wheels"), "PYTHONPATH": str(shadow),
                       **environment}
        return subprocess.run(["/bin/sh", str(host / "install.sh"), *words], cwd=tmp_path,
                              env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=120)
    return run


def wheel(folder: Path, name: str, version: str) -> str:
    """A package of one module that says that it was found, as pip takes it. Its SHA-256."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"raise SystemExit('this is {name} {version}')")
        file.writestr(f"{info}/METADATA",
                      f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n"
                                       "Tag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(Path(str(file.filename)).read_bytes()).hexdigest()


def short(host: Path) -> str:
    """The few options that matter first."""
    return subprocess.run([sys.executable, host / "jobs.py", "config", "example", "--short"],
                          capture_output=True, text=True, env={}, timeout=60).stdout


def assert_host_is_ready(host: Path, run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stderr
    modes = [stat.S_IMODE((host / name).stat().st_mode) for name in ("config.ini", "var")]
    assert modes == [0o600, 0o700]
    assert (host / "var" / "jobs.db").exists()
    assert "\nNext:\n" in run.stdout
    assert len(run.stdout.splitlines()) < 20


def test_sqlite_needs_neither_venv_nor_pip(host, install):
    run = install(blocked=("venv", "pip"))
    assert_host_is_ready(host, run)
    assert "neither the venv module nor pip" in run.stderr
    text = (host / "config.ini").read_text()
    assert text == short(host)
    assert len([line for line in text.splitlines() if re.match(r"#\w+ =", line)]) < 15
    assert (host / "config.ini.example").exists()
    assert not any((host / name).exists() for name in (".venv", "vendor"))
    (host / "config.ini").write_text("[mail]\nport = abc\n")
    run = install(blocked=("venv", "pip"))
    assert (run.returncode != 0, "[mail] port" in run.stderr, "Next:" in run.stdout) == (
        True, True, False)


def test_without_venv_packages_go_into_vendor(host, install, tmp_path):
    lock(host, tmp_path)
    run = install(blocked=("venv",))
    assert_host_is_ready(host, run)
    found = subprocess.run([sys.executable, "-S", host / "jobs.py", "history"], capture_output=True,
                           text=True, env={"JOBS_CORE_DATABASE": "mysql://me@127.0.0.1/none"})
    assert (run.stderr, found.stderr) == ("", "this is pymysql 1.1.1\n")


def test_a_second_run_changes_nothing(host, install, tmp_path):
    lock(host, tmp_path)
    assert_host_is_ready(host, install())
    (host / "config.ini").write_text((host / "config.ini").read_text() + "\n; mine\n")
    (host / "config.ini").chmod(0o644)
    shutil.rmtree(tmp_path / "wheels")
    again = install()
    assert_host_is_ready(host, again)
    assert (again.stderr, "up to date" in again.stdout) == ("", True)
    assert "; mine" in (host / "config.ini").read_text()


def test_install_sh_and_crontab_name_the_python_that_works_in_cron(host, install, tmp_path):  # R64
    def crontab(python) -> str:
        return subprocess.run([python, host / "jobs.py", "crontab"], capture_output=True, text=True,
                              env={}, timeout=60).stdout
    run, ours = install(), host / ".venv" / "bin" / "python"
    assert f"Python: {sys.version_info[0]}.{sys.version_info[1]} ({ours})" in run.stdout.split("\n")
    printed = crontab(ours)
    assert crontab(sys.executable) == printed
    command, = re.findall(r"(?m)^[^#]\S* \* \* \* \* (.* run-due)$", printed)
    assert command.startswith(f"'{ours}' ")
    done = subprocess.run(["/bin/sh", "-c", command.replace("\\%", "%")], capture_output=True,
                          text=True, cwd="/", timeout=60,
                          env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    shutil.rmtree(host / ".venv")
    assert f" * * * * {sys.executable} " in crontab(sys.executable)


def test_on_a_terminal_the_few_values_that_matter_are_asked_for(host, tmp_path):
    blocked = tmp_path / "shadow"
    blocked.mkdir()
    for module in ("venv", "pip", "dotenv"):
        (blocked / f"{module}.py").write_text("raise ImportError('this Python has none')\n")

    def typed(*answers: str) -> str:
        """`sh install.sh` with this typed on its terminal: what is seen there."""
        return on_terminal(["/bin/sh", host / "install.sh"], host, {
            "PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "TERM": "dumb",
            "PYTHONPATH": str(blocked)}, answers, code=0)
    seen = typed("alias example", "alias.example", "Acme <n@alias.example>", "relay.example", "465",
                 "tls", "me", "geheim", "https://me.example", "o@x.example", "archive", "y", "")
    assert "[mail] domain = 'alias example': expected a host name" in seen
    assert ("geheim" in seen, "\r\nNext:\r\n" in seen) == (False, True)
    assert "asks again, then run this again. For now SQLite is used" in seen
    text = (host / "config.ini").read_text()
    for line in ("domain = alias.example", "from = Acme <n@alias.example>", "host = relay.example",
                 "port = 465", "security = tls", "username = me", "password = geheim",
                 "app_url = https://me.example", "email = o@x.example", "store = archive",
                 "#database = sqlite:///var/jobs.db"):
        assert f"\n{line}\n" in text
    assert stat.S_IMODE((host / "config.ini").stat().st_mode) == 0o600
    # once it is there, nobody is asked, and nothing is overwritten
    assert "config.ini already exists. `" in typed()
    assert (host / "config.ini").read_text() == text


@pytest.mark.parametrize("words, code, said", [
    ("instal", 2, "there is no instal (./install.sh --help shows what there is)"),
    ("--wiht rq", 2, "there is no --wiht"), ("--with", 2, "--with"),
    ("bundle --help", 2, "bundle --help: expected the name of a zip"),
    ("--with mysql,postgres", 2, "postgres: expected mysql, domains, rq or celery"),
    ("bundle", 1, "the packages could not be fetched")])       # without the network
def test_what_cannot_be_done_is_said(host, install, words, code, said):
    run = install(*words.split())
    assert (run.returncode, said in run.stderr) == (code, True), run.stderr
    assert not [*host.glob("var"), *host.glob("dist")]


def test_an_old_python_is_named(install, tmp_path):
    old = tmp_path / "python-old"
    old.write_text("#!/bin/sh\necho 'is Python 3.6' >&2; exit 1\n")
    old.chmod(0o755)
    run = install("demo", PYTHON=str(old))
    assert (run.returncode, "needs Python 3.9 or later" in run.stderr) == (1, True)
    assert f"{old} is Python 3.6" in run.stderr


def test_an_upload_with_crlf_still_runs(host, install):         # R65
    script = host / "install.sh"
    script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))
    run = install("help")
    assert (run.returncode, run.stdout[:13]) == (0, "./install.sh "), run.stderr
    assert b"\r" not in script.read_bytes().replace(b"'\\r'", b"")


PACKED = (("pymysql", "1.1.1"), ("python_dotenv", "1.0.1"), ("dnspython", "2.7.0"))


def lock(host: Path, tmp_path: Path) -> None:
    """The packages of the bundle are wheels of ours, by their hashes."""
    (host / "requirements-bundle.txt").write_text("".join(
        f"{name}=={version} --hash=sha256:{wheel(tmp_path / 'wheels', name, version)}\n" for name,
        version in PACKED))


@pytest.fixture
def bundle(host, install, tmp_path) -> zipfile.ZipFile:
    """The bundle of a host with a configuration and data of its own."""
    lock(host, tmp_path)
    (host / "config.ini").write_text("[mail]\npassword = private\n")
    (host / ".env").write_text("JOBS_MAIL_PASSWORD=private\n")
    (host / "var").mkdir()
    (host / "var" / "jobs.db").write_text("private")
    run = install("bundle", "made.zip")
    assert (run.returncode, run.stderr) == (0, "")
    return zipfile.ZipFile(host / "made.zip")


def test_the_bundle_has_what_a_host_needs_and_nothing_of_its_own(bundle, host):      # R65
    names = {name for name in bundle.namelist() if not name.endswith("/")}
    assert {name.partition("/")[0] for name in names} == {"jobs"}
    ours = {f"jobs/{path.relative_to(host)}" for path in (host / "jobs_lib").rglob("*")
            if path.is_file() and path.suffix != ".pyc"}
    assert ours | {"jobs/jobs.py", "jobs/.htaccess", "jobs/config.ini.short",
                   "jobs/config.ini.example", "jobs/docs/install.md", "jobs/vendor/pymysql.py",
                   "jobs/vendor/dnspython.py", "jobs/vendor/python_dotenv.py"} <= names
    assert bundle.read("jobs/config.ini.short").decode() == short(host)
    top = bundle.read("jobs/README.md").partition(b"## What it is")[0]
    assert (b"install.sh" in top, top.split(b"\n")[3][:21]) == (False, b"python3 jobs.py demo ")
    listed = dict(line.split("  ")[::-1] for line in
                  bundle.read("jobs/jobs_lib/modules.txt").decode().splitlines())
    assert listed == {name[5:]: hashlib.sha256(bundle.read(name)).hexdigest()
                      for name in names if re.match(r"jobs/(jobs_lib|vendor)/.*\.py$", name)}
    assert [name for name in names if re.search(
        r"/(config\.ini|\.env|var|tests|generate|decisions\.md|__pycache__)(/|$)", name)] == []
    assert [name for name in names if b"private" == bundle.read(name)] == []
    for entry in bundle.infolist():
        assert entry.external_attr >> 16 & 0o777 == (0o755 if entry.is_dir() else 0o644)


def test_a_bundle_runs_at_once_and_one_over_it_keeps_what_is_the_hosts(bundle, tmp_path):  # R65
    def run(*words: str) -> str:
        done = subprocess.run([sys.executable, "-S", "-s", tmp_path / "jobs" / "jobs.py", *words],
                              cwd="/", env={}, text=True, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout
    bundle.extractall(tmp_path)
    assert "up to date" in run("migrate")
    run("pause", "purge_sessions")
    (tmp_path / "jobs" / "config.ini").write_text("[purge_magic_links]\nenabled = no\n")
    bundle.extractall(tmp_path)
    assert "up to date" in run("migrate")
    jobs = {job["name"]: job for job in json.loads(run("list", "--json"))}
    assert jobs["purge_sessions"]["paused_at"]
    assert not jobs["purge_magic_links"]["enabled"]
    assert {each["status"] for each in json.loads(run("run-due", "--json"))} <= {"ok"}


def test_a_package_that_is_not_the_one_we_know_gets_into_no_bundle(host, install, tmp_path):  # R71
    """The same names and versions as in requirements-bundle.txt, and other bytes."""
    for name, version, _ in locked():
        wheel(tmp_path / "wheels", name.replace("-", "_"), version)
    run = install("bundle", "made.zip")
    assert run.returncode == 1
    assert "DO NOT MATCH THE HASHES" in run.stderr
    assert not (host / "made.zip").exists()


def locked() -> list[tuple[str, str, str]]:
    """(package, version, hash) of requirements-bundle.txt."""
    text = (ROOT / "requirements-bundle.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    found = [re.fullmatch(r"([\w-]+)==([\d.]+) +--hash=sha256:([0-9a-f]{64})", line)
             for line in text.splitlines() if line and line[0] != "#"]
    assert all(found), text
    return [match.groups() for match in found]


def test_the_locked_packages_are_those_that_are_required():                  # R71
    from packaging.requirements import Requirement
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    required = {each.name: each.specifier for line in lines
                if (text := line.partition("#")[0].strip()) for each in [Requirement(text)]}
    assert [name for name, _, _ in locked()] == [*required]
    assert all(required[name].contains(version) for name, version, _ in locked())
