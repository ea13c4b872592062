"""`config set`: one line of config.ini or .env, checked before a byte is written."""
from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs_lib import catalogue
from jobs_lib.commands import _config_set
from jobs_lib.commands._arguments import asked
from jobs_lib.commands._config_set import change
from jobs_lib.config import loader
from jobs_lib.errors import UsageError
from jobs_lib.output.config_example import config_ini

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = f"python3 {ROOT}/jobs.py --config"
INI = "# my relay\n[mail]\nport = 25\n\n[core]\n; kept\n"


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_changes_that_line_alone_and_says_where(line):
    path = line.ini(INI)
    path.chmod(0o640)
    answer = line("config", "set", "mail.port", "587")
    assert answer == (0, f"[mail] port = 587 ({path})\n", "")
    assert path.read_text() == INI.replace("25", "587")
    assert mode(path) == 0o640


def test_the_line_of_the_full_example_is_used(line):
    text = config_ini(catalogue.load_all())
    path = line.ini(text)
    assert line("config", "set", "purge_sessions.keep", "10d").code == 2
    assert line("config", "set", "retry_forwards.delays", "1h, 6h").code == 0
    changed = path.read_text().splitlines()
    before = text.splitlines()
    assert len(changed) == len(before)
    assert [pair for pair in zip(before, changed) if pair[0] != pair[1]] == [
        ("#delays = 1h, 6h, 24h, 48h", "delays = 1h, 6h")]


def test_without_a_file_the_short_example_is_the_beginning(tmp_path):
    config = loader.load(None, beside=str(tmp_path), environ={})
    console = SimpleNamespace(report=lambda words: None)
    session = SimpleNamespace(config=config, console=console)
    assert change(session, "mail.host", "relay.example.org", catalogue.load_all()) == 0
    path = tmp_path / "config.ini"
    assert mode(path) == 0o600
    text = path.read_text()
    assert "\nhost = relay.example.org\n" in text
    assert "config.ini.example" in text
    assert len(text.splitlines()) < 70


def test_of_two_at_the_same_time_the_second_waits_and_keeps_what_the_first_has_set(tmp_path):  # R63
    (tmp_path / "config.ini").write_text(INI)
    reports: list = []
    console = SimpleNamespace(report=reports.append)
    session = SimpleNamespace(config=loader.load(None, beside=str(tmp_path), environ={}),
                              console=console)
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    second = threading.Thread(target=change, args=(session, "mail.per_day", "901",
                                                   catalogue.load_all()))
    second.start()
    second.join(0.3)
    assert reports == []
    (tmp_path / "config.ini").write_text(INI.replace("port = 25", "port = 25\nper_hour = 71"))
    os.close(handle)
    second.join(20)
    assert reports
    text = (tmp_path / "config.ini").read_text()
    assert "per_hour = 71" in text
    assert "per_day = 901" in text


# R63
@pytest.mark.parametrize("where, value, said, code", [
    ("mail.port", "abc", "expected a whole number, 1-65535; nothing was changed", 78),
    ("core.lock", "database", "no locks of that kind; expected file; nothing was changed", 78),
    ("core.secret_key", "short", "[core] secret_key = ...: expected at least 32 characters", 78),
    ("retry_forwards.schedule", "61 * * * *", "[retry_forwards] schedule", 78),
    ("mial.port", "25", "there is no section [mial]; did you mean 'mail'?", 2),
    ("mail.prot", "25", "[mail] has no option 'prot'; did you mean 'port'?", 2),
    ("mail", "25", "expected SECTION.OPTION, such as mail.transport", 2),
    ("check_jobs.try", "yes", "try is about one run: `jobs.py check_jobs --set try=VALUE`", 2),
    ("tables.nothing", "x", "[tables] nothing: there is no such option", 78),
])
def test_what_the_loader_would_refuse_changes_nothing(line, where, value, said, code):
    path = line.ini(INI)
    answer = line("config", "set", where, value)
    assert answer.code == code
    assert said in answer.err
    assert value not in answer.err or where != "core.secret_key"
    assert path.read_text() == INI
    assert sorted(each.name for each in line.folder.iterdir()) == ["config.ini"]


def test_a_secret_goes_into_dotenv_and_out_of_config_ini(line):        # R71
    path = line.ini("[mail]\npassword = old one\nport = 25\n")
    answer = line("config", "set", "mail.password", "new 'secret'")
    assert answer.code == 0
    assert "new 'secret'" not in answer.out + answer.err
    assert "other users of this machine can see a command line" in answer.err
    dotenv = line.folder / ".env"
    assert mode(dotenv) == 0o600
    assert path.read_text() == "[mail]\n# password: JOBS_MAIL_PASSWORD in .env\nport = 25\n"
    assert line.json("config", "show", "mail")["sections"]["mail"]["password"]["origin"] == ".env"
    url = "mysql://me:it's@localhost/name"
    assert line("config", "set", "core.database", url).code == 0
    assert dotenv.read_text() == ("JOBS_MAIL_PASSWORD='new \\'secret\\''\n"
                                  "JOBS_CORE_DATABASE='mysql://me:it\\'s@localhost/name'\n")
    # what .env has is set there, since it wins
    assert line("config", "set", "core.database", "sqlite:///jobs.db").code == 0
    assert dotenv.read_text().endswith("JOBS_CORE_DATABASE=sqlite:///jobs.db\n")


def test_a_terminal_that_ends_instead_of_an_answer_is_one_sentence(monkeypatch):        # R71
    def ended(_prompt):
        raise EOFError
    monkeypatch.setattr("getpass.getpass", ended)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(UsageError, match=r"^mail\.password: no value was given$"):
        asked("mail.password")


def test_enter_at_a_secret_leaves_it_as_it_is(line, monkeypatch):
    path = line.ini(INI)
    monkeypatch.setattr("getpass.getpass", lambda _prompt: "")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    reports: list = []
    session = SimpleNamespace(config=loader.load(None, beside=str(line.folder), environ={}),
                              console=SimpleNamespace(report=reports.append))
    assert change(session, "mail.password", None, catalogue.load_all()) == 0
    assert reports == ["mail.password is as it was: no value was given"]
    assert path.read_text() == INI
    assert not (line.folder / ".env").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_on_the_installation_of_another_user_it_says_whose_it_is(mode):        # R63
    code = ("import sys\n"
            "from types import SimpleNamespace\n"
            "from jobs_lib import catalogue\n"
            "from jobs_lib.commands._config_set import change\n"
            "from jobs_lib.config import loader\n"
            "from jobs_lib.errors import JobsError\n"
            "import os\n"
            # this Python may be one that he cannot read
            "import encodings.utf_8_sig, glob, sqlite3\n"
            "jobs = catalogue.load_all()\n"
            "os.setgroups([]) or os.setgid(65534) or os.setuid(65534)\n"
            "config = loader.load(sys.argv[1], beside='', environ={})\n"
            "try: change(SimpleNamespace(config=config), 'mail.port', '587', jobs)\n"
            "except JobsError as error: print(error)")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = f"{folder}/config.ini"
        with open(path, "w") as file:
            file.write(INI)
        os.chmod(path, mode)
        done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True,
                              cwd=ROOT)
    assert "chown" not in done.stdout + done.stderr
    assert ".part" not in done.stdout
    assert f"belongs to root: run `sudo -u root {PROGRAM} {path} config set ...`" in (
        done.stdout)


def test_without_what_reads_dotenv_a_secret_goes_into_config_ini_and_makes_it_private(
        line, monkeypatch):                                            # R71
    path = line.ini("[mail]\nport = 25\n")
    path.chmod(0o644)
    monkeypatch.setattr(_config_set, "_can_read_dotenv", lambda: False)
    config = loader.load(None, beside=str(line.folder), environ={})
    console = SimpleNamespace(report=lambda words: None, fail=lambda words: None)
    session = SimpleNamespace(config=config, console=console)
    assert change(session, "mail.password", "geheim", catalogue.load_all()) == 0
    assert path.read_text() == "[mail]\nport = 25\npassword = geheim\n"
    assert mode(path) == 0o600
    assert not (line.folder / ".env").exists()


def test_the_environment_that_wins_is_named(line):
    line.ini(INI)
    answer = line("config", "set", "mail.port", "587", JOBS_MAIL_PORT="26")
    assert "JOBS_MAIL_PORT wins over it" in answer.out


def test_a_file_that_is_no_text_is_left_alone(line):
    path = line.folder / "config.ini"
    path.write_bytes("[mail]\nhost = ä\n".encode("utf-16"))
    before = path.read_bytes()
    answer = line("config", "set", "mail.port", "25")
    assert answer.code == 78
    assert "is in UTF-16" in answer.err
    assert path.read_bytes() == before
