"""config.ini and .env as they come from editors, uploads and other operators."""
from __future__ import annotations

import os
import subprocess
import sys

import pytest

from jobs_lib.config.files import read_dotenv, read_ini
from jobs_lib.paths import way_to
from tests.support.shell import ROOT


def ini(tmp_path, data: bytes) -> tuple:
    """(values without line numbers, problems)."""
    path, problems = tmp_path / "config.ini", []
    path.write_bytes(data)
    values = read_ini(str(path), problems)
    return {section: {name: value for name, (value, _) in options.items()}
            for section, options in values.items()}, [problem.replace(str(path), "FILE")
                                                      for problem in problems]


def dotenv(tmp_path, data: bytes) -> tuple:
    path, problems = tmp_path / ".env", []
    path.write_bytes(data)
    return read_dotenv(str(path), problems), [problem.replace(str(path), "FILE")
                                              for problem in problems]


@pytest.mark.parametrize("data", [
    b"[mail]\nhost = a\nport = 25\n",
    b"[mail]\r\nhost = a\r\nport = 25\r\n",                 # R65
    b"[mail]\rhost = a\rport = 25\r",
    # a byte order mark, and no last line end
    b"\xef\xbb\xbf[mail]\nhost = a\nport = 25",
    b"\n  \n# about\n; about\n [mail]\nHost=a\n\nPORT  =25\n",
])
def test_line_ends_marks_and_spaces_do_no_harm(tmp_path, data):
    assert ini(tmp_path, data) == ({"mail": {"host": "a", "port": "25"}}, [])


@pytest.mark.parametrize("data, values", [
    # a value is everything after the equals sign
    (b"[m]\na = x=y;z#%(b)s%%\nb = \"q\"\nc =\nd = \xe2\x82\xac\n",
     {"a": "x=y;z#%(b)s%%", "b": '"q"', "c": "", "d": "\u20ac"}),
    # a line that begins with a space goes on with it
    (b"[m]\na = 1h,\n    2h,\n# between\n\t3h\nb = 2\n", {"a": "1h,\n2h,\n3h", "b": "2"}),
    # a section may be opened again
    (b"[m]\na = 1\n[n]\n[m]\nb = 2\n", {"a": "1", "b": "2"})])
def test_values_are_read_as_they_are(tmp_path, data, values):
    found, problems = ini(tmp_path, data)
    assert (found["m"], problems) == (values, [])


@pytest.mark.parametrize("data, problem", [
    ("[m]\na = b\n".encode("utf-16"), "FILE is in UTF-16: save it as UTF-8"),
    (b"[m]\na = 1\nb = caf\xe9\n", "FILE line 3 is not in UTF-8: save it as UTF-8"),
])
def test_another_encoding_is_reported(tmp_path, data, problem):
    assert ini(tmp_path, data) == ({}, [problem])


# .env

def test_dotenv_is_read_as_python_dotenv_reads_it(tmp_path):
    values, problems = dotenv(tmp_path, b"""\xef\xbb\xbf# about\r
\r
JOBS_A=plain\r
export JOBS_B='single $HOME # quoted'\r
  JOBS_C = "dou\\"ble"  # said\r
JOBS_D=half#hash # cut\r
JOBS_E=\r
APP_KEY=base64:x\r
""")
    assert {name: value for name, (value, _) in values.items()} == {
        "JOBS_A": "plain", "JOBS_B": "single $HOME # quoted", "JOBS_C": 'dou"ble',
        "JOBS_D": "half#hash", "JOBS_E": ""}
    assert [line for _, line in values.values()] == [3, 4, 5, 6, 7]
    assert problems == []


@pytest.mark.parametrize("data, problem", [
    (b"\n\nJOBS_A\n",
     "FILE line 3: expected NAME=value; put a value with spaces or quotes into 'single quotes'"),
    (b"JOBS_B=1\nJOBS_A='open\n",
     "FILE line 2: expected NAME=value; put a value with spaces or quotes into 'single quotes'"),
    (b"JOBS_A=1\n\nJOBS_A=2\n", "JOBS_A is set twice (FILE lines 1 and 3): keep one"),
    (b"JOBS_A=\xe9\n", "FILE line 1 is not in UTF-8: save it as UTF-8"),
])
def test_a_broken_line_of_dotenv_is_reported(tmp_path, data, problem):      # R63
    assert dotenv(tmp_path, data)[1] == [problem]


def without_dotenv(tmp_path, text: str) -> subprocess.CompletedProcess:
    """`config check` on a Python that has no python-dotenv: a package of its name stands before it
    and fails."""
    (tmp_path / "dotenv.py").write_text("raise ImportError('none here')\n")
    (tmp_path / "config.ini").write_text("")
    (tmp_path / ".env").write_text(text)
    return subprocess.run([sys.executable, ROOT / "jobs.py", "config", "check"],
                          capture_output=True, text=True, env={"PATH": os.environ["PATH"],
                                                               "PYTHONPATH": str(tmp_path),
                                                               "JOBS_CONFIG": str(tmp_path
                                                                                  / "config.ini")})


def test_without_python_dotenv_one_sentence_tells_what_to_do(tmp_path):
    run = without_dotenv(tmp_path, "JOBS_MAIL_PASSWORD=hunter2\n")
    assert run.returncode == 78
    assert run.stderr == (f"jobs.py: {tmp_path}/.env needs python-dotenv, which is not installed: "
                          f"{way_to('python-dotenv')}, or move its settings into config.ini\n")


def test_the_web_apps_own_dotenv_needs_nothing(tmp_path):
    assert without_dotenv(tmp_path, "APP_KEY=secret\nbroken line\n").returncode == 0
