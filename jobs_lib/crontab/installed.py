"""The crontab of the user that asks, as cron has it: read, never written."""
from __future__ import annotations

import os
import re
import shlex
from collections import namedtuple

SECONDS = 5
FIELDS = 5
SHELL_WORDS = (">", ">>", "2>", "2>>", "2>&1", "&&", "||", ";", "|", "&", ">&", "<")

CONFIG_VARIABLE = "JOBS_CONFIG"

Entry = namedtuple("Entry", "number schedule command words config")
Entry.__doc__ = """One line of a crontab that runs something.

number    of the line
schedule  its five fields, or its @word
command   as cron runs it
words     the arguments of `jobs.py`, without --config FILE; None: another program
config    that file, or what JOBS_CONFIG names in the crontab; None: the one beside jobs.py
"""


def read() -> tuple[str | None, str]:
    """(the crontab's text, ""), or (None, why it cannot be read)."""
    import subprocess

    try:
        done = subprocess.run(["crontab", "-l"], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=SECONDS, encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None, "there is no program `crontab` here"
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"`crontab -l` failed: {error}"
    if done.returncode == 0:
        return done.stdout, ""
    if "no crontab" in done.stderr.lower():
        return "", ""
    why = " ".join(done.stderr.split()) or f"it ended with {done.returncode}"
    return None, f"`crontab -l` failed: {why}"


def entries(text: str, script: str) -> list[Entry]:
    """The lines that run something; `words` of those that run this `script` (its absolute path)."""
    found, config = [], None
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if setting := re.match(rf"[\"']?{CONFIG_VARIABLE}[\"']?\s*=\s*(.*)", line):
            config = os.path.realpath(setting[1].strip("\"'")) or None
        if not line or line.startswith("#") or re.match(r"[A-Za-z_]\w*\s*=|[\"']", line):
            continue
        parts = line.split(None, 1) if line.startswith("@") else line.split(None, FIELDS)
        if len(parts) == (2 if line.startswith("@") else FIELDS + 1):
            words, named = _words(parts[-1], script)
            found.append(Entry(number, " ".join(parts[:-1]), parts[-1], words, named or config))
    return found


def ours(text: str, script: str) -> list[Entry]:
    """Only those that run this script."""
    return [entry for entry in entries(text, script) if entry.words is not None]


def _words(command: str, script: str) -> tuple[list[str] | None, str | None]:
    """What follows the script in a command, and its config.ini; what a shell would do further on
    does not count."""
    # an unescaped one ends the command
    command = re.split(r"(?<!\\)%", command)[0].replace("\\%", "%")
    try:
        words = shlex.split(command, comments=False)
    except ValueError:
        words = command.split()
    found: list[str] | None = None
    config: str | None = None
    folder, rest = os.path.expanduser("~"), iter(words)
    for word in rest:
        if found is None:
            if word == "cd":
                folder = _full(next(rest, "").rstrip(";"), folder)
            elif (word.endswith(os.path.basename(script))
                  and _full(word, folder) == os.path.realpath(script)):
                found = []
            elif word.startswith(f"{CONFIG_VARIABLE}="):
                config = _full(word.partition("=")[2], folder)
        elif word.startswith(SHELL_WORDS):
            break
        elif word == "--config" or word.startswith("--config="):
            config = _full(word.partition("=")[2] or next(rest, ""), folder)
        else:
            found.append(word.rstrip(";"))
            if word.endswith(";"):
                break
    return found, config


def _full(path: str, folder: str) -> str:
    """A path as the shell of a cron line takes it in this folder."""
    return os.path.realpath(os.path.join(folder, os.path.expandvars(os.path.expanduser(path))))
