"""The command line: help worth reading, which configuration counts, streams that close, and an
upload as FTP makes it. Wrong words are in test_mistakes.py."""
from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from jobs_lib import commands
from tests.support.product import catalogue
from tests.support.shell import ROOT, Shell, copy_program

COMMANDS = """alerts cancel config crontab demo doctor enqueue help history list mail metrics
    migrate pause preview queue replay report resume run-due status test version worker""".split()
JOBS = catalogue.names()
JOBS_PY = shlex.join([sys.executable, str(ROOT / "jobs.py")])


def test_the_overview_names_every_command_and_job(line):
    out = line("--help").out
    assert line().out == line("help").out == line("-h").out == out
    assert max(map(len, out.splitlines())) <= 80
    listed, _, jobs = out.partition("\njobs:\n")
    assert re.findall(r"(?m)^  ([a-z][a-z-]+)  +\w", listed) == COMMANDS
    assert jobs.replace(",", "").split() == JOBS
    for word in ("--version", "version"):
        assert re.fullmatch(r"jobs\.py \d+\.\d+\.\d+, Python 3\.\d+\.\d+\S*\n", line(word).out)
    assert set(JOBS) & {name.replace("-", "_") for name in COMMANDS} == set()


@pytest.mark.quick
@pytest.mark.parametrize("name", sorted({*COMMANDS, *JOBS} - {"help", "version"}))
def test_help_begins_with_what_it_does_and_needs_no_configuration(here, name):
    answer = here(name, "--help", ini="[core]\nbudget = never\n[nonsense]\n")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"usage: jobs.py {name} ")
    assert max(map(len, answer.out.splitlines())) <= 80
    assert name == "demo" or "  --config FILE  " in answer.out
    assert here("help", name).out == answer.out
    words = " ".join(answer.out.split())
    job = catalogue.load(name) if name in JOBS else None
    doc = job.doc if job else commands.load(name).__doc__
    assert doc.strip().partition("\n")[0] in words
    for option_name, option in (job.options if job else {}).items():
        assert option.meaning in words
        assert f"  {option_name} = {option.default}\n" in answer.out


def test_the_configuration_is_named_anywhere_on_the_line(tmp_path):
    path, other = Shell(tmp_path).ini("[mail]\nport = 26\n"), Shell(tmp_path / "other")
    other.folder.mkdir()
    for words in (f"--config {path} config show", f"config --config={path} show"):
        assert "port = 26" in other(*words.split()).out
    assert "port = 26" in other("config", "show", JOBS_CONFIG=str(path)).out


@pytest.mark.parametrize("command, begins", [
    ("config example | head -n 1", "# "),               # a reader that stops early
    ("run-due >&- 2>&-", ""), ("list >&-", ""),         # closed streams
    ("alerts test 2>&1 >&- | cat", "jobs.py: no alert can be sent"),
    ("config show mail", "Configuration: ")])                    # no such letters: m\u00fcller
def test_what_a_shell_does_to_the_streams_is_no_error(service, command, begins):
    service.configure("mail", username="m\u00fcller")
    run = subprocess.run(f"{JOBS_PY} --config config.ini {command}", shell=True, text=True,
                         capture_output=True, cwd=service.folder,
                         env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert (run.returncode, "Traceback" in run.stderr, "m\u00fcller" in run.stdout) == (0, 0, 0)
    assert run.stdout.startswith(begins)


@pytest.fixture
def upload(tmp_path):
    """The bundle as FTP in text mode leaves it: Windows line ends, no run bits; and its data."""
    home = tmp_path / "upload"
    copy_program(home)
    Shell(home).ini("[core]\ndatabase = sqlite:///var/jobs.db\n[mail]\ntransport = maildir\n")
    (home / ".env").write_text("JOBS_MAIL_DOMAIN='service.example'\n")
    for path in home.rglob("*"):
        if path.is_file() and path.suffix != ".eml":
            path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
            path.chmod(0o644)
    return Shell(home, script=home / "jobs.py")


def test_an_upload_with_windows_line_ends_and_no_run_bits_works(upload):        # R65
    assert upload("migrate").out.endswith(
        " statements run in sqlite:///var/jobs.db: the schema is up to date\n")
    assert "domain = service.example" in upload.run("config", "show", "mail")
    for words in ("config check", "run-due", "retry_forwards", "retry_forwards --help"):
        assert upload(*words.split()).code == 0, words
    # twice, where a slot turned meanwhile
    assert "retry_forwards" in upload("history").out
    for place in ("vendor", ".venv/lib/python{}.{}/site-packages"):
        folder = upload.folder / place.format(*sys.version_info[:2])
        folder.mkdir(parents=True)
        (folder / "pymysql.py").write_text("raise SystemExit('found beside the program')\n")
        upload.ini("[core]\ndatabase = mysql://me:secret@127.0.0.1/x\n")
        assert "found beside the program" in upload("migrate").err, place
        shutil.rmtree(upload.folder / place.partition("/")[0])


def test_a_package_that_is_missing_has_a_way_to_it_that_is_there(upload):        # R69
    def fixes(way: str) -> None:
        """`doctor` says that way, where a package is missing."""
        found = upload.json("doctor", code=1, options=("-S",))
        lacking, = [each for each in found if each["why"] and "is not installed" in each["what"]]
        assert (f"not installed: {way}" in lacking["what"], lacking["fix"]) == (True, ""), lacking
    upload.ini("[core]\ndatabase = mysql://me@127.0.0.1/x\n")
    (upload.folder / ".env").write_text("APP_KEY=x\nbroken line\n")        # the web app's own
    fixes("run `./install.sh`, or upload the folder vendor of the ")
    python = upload.folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    fixes(f"run it with {python} jobs.py")                  # another Python has it
    upload.ini("")                                          # SQLite needs none
    upload.run("migrate", options=("-S",))
    assert upload.json("status", options=("-S",), code=None)["program"].startswith(".venv/bin/py")
    (upload.folder / ".env").write_text("JOBS_MAIL_PORT=25\n")
    fixes(f"run it with {python} jobs.py, or move its settings into config.ini")


@pytest.mark.parametrize("name", ["purge_failed_emails", "send_notifications", "check_jobs"])
def test_a_job_file_that_is_broken_or_missing_is_reported_and_stops_no_other(upload, name):  # R65
    upload.ini((upload.folder / "config.ini").read_text() + f"[{name}]\nbudget = 3m\n")
    path = upload.folder / "jobs_lib" / "jobs" / f"{name}.py"
    words = f"jobs_lib/jobs/{name}.py is missing or incomplete: the job {name} does not run"
    if name == "purge_failed_emails":                             # the upload ended in it
        path.write_bytes(path.read_bytes() + b"job = purge(\n")
    else:
        path.unlink()
    assert upload("migrate").err.startswith(f"jobs.py: {words}. Upload the file again")
    upload.url = f"sqlite:///{upload.folder}/var/jobs.db"
    upload.db.execute("UPDATE {job_state} SET due_after = '2020-01-01 00:00:00'")
    upload.notices(1)
    ticks = [upload("run-due") for _ in range(2)]                 # printed once, then daily
    assert [(tick.code, f"run-due: {words}. " in tick.err) for tick in ticks] == [(1, 1), (1, 0)]
    for command in (name, f"pause {name}", "config check", f"config set {name}.budget 2m", "demo"):
        answer = upload(*command.split())
        assert (answer.code, answer.err.count(f"jobs.py: {words}. ")) == (78, 1), command
    for command in ("status", "doctor"):
        found = upload.run(command, "--json", code=1)
        assert (found.count(words), f'"{name} does not run."' in found) == (    # of its queue
            1, (command, name) == ("status", "send_notifications"))
    assert re.search(rf"(?m)^{name} +no usable file .* misconfigured$", upload.run("list"))
    assert upload.db.value("SELECT subject FROM {alerts} WHERE kind = 'configuration'") == (
        None if name == "check_jobs" else words)
    assert " ok " in upload.run("history", "retry_forwards")
    path.with_name("rollup_usage.py").unlink()
    assert " are missing or incomplete: the jobs " in upload("crontab").err
    (upload.folder / "_sqlite3.py").write_text("raise ImportError('none', name='_sqlite3')\n")
    assert "this Python lacks a module of its own (none): use another" in upload("list").err


@pytest.mark.parametrize("words, name, end", [
    ("run-due", "cli/main.py", "("), ("run-due", "launch/launch.py", "("),
    ("run-due", "errors.py", "("), ("list", "cli/arguments.py", "("),
    ("retry_forwards", "engines/due.py", "("), ("list", "engines/purge.py", "("),
    ("run-due", "cli/main.py", "def _flushed")])    # what is left of it can be read
def test_half_of_a_file_is_one_sentence(upload, words, name, end):               # R69
    upload("migrate")
    path = upload.folder / "jobs_lib" / name
    text = path.read_text()
    path.write_text(text[:text.rindex(end) + (end == "(")])
    answer = upload(words)
    assert re.fullmatch("1 .*incomplete.*: upload it again\n", f"{answer.code} {answer.err}")
    assert end != "(" or f"{path}" in answer.err
