"""The crontab of the user that asks, and our block in it: between two marks, each installation has
its own."""
from __future__ import annotations

import os
import re
import subprocess

SECONDS, FIELDS = 5, 5


def read() -> tuple[str | None, str]:
    """(the crontab's text, ""), or (None, why it cannot be read). Bytes that are not UTF-8 can be
    written back."""
    text, why = _crontab("-l")
    return ("", "") if "no crontab" in why.lower() else (text, why)


def write(text: str) -> str:
    """Replace the crontab; why that failed, or ""."""
    return _crontab("-", text)[1]


def _crontab(word: str, text: str = "") -> tuple[str | None, str]:
    """(what `crontab WORD` prints, ""), or (None, why it failed)."""
    try:
        done = subprocess.run(["crontab", word], input=text, capture_output=True, timeout=SECONDS,
                              encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None, "there is no program `crontab` here"
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"`crontab {word}` failed: {error}"
    if done.returncode == 0:
        return done.stdout, ""
    why = " ".join(done.stderr.split()) or f"it ended with {done.returncode}"
    return None, f"`crontab {word}` failed: {why}"


def replaced(text: str, name: str, lines: list[str]) -> str:
    """The crontab with these lines in the block of that name, which stays where it is or comes
    last; without lines there is none."""
    first = f"# --- {name}: made by `jobs.py crontab --install`, which replaces it"
    last = f"# --- {name}: end"
    block = "\n".join([first, *lines, last, ""]) if lines else ""
    text = text.rstrip("\n") + "\n" if text.strip() else ""
    # without its end it is its first line alone: what follows may be somebody else's
    ours = re.compile(rf"(?ms)^{re.escape(first)}\n(?:.*?^{re.escape(last)}\n)?")
    return ours.sub(lambda _: block, text, 1) if ours.search(text) else text + block


def ours(text: str, script: str) -> list[tuple[int, str]]:
    """(number, command) of the lines that run this script (its absolute path)."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line[:1] in ("*", "@") or line[:1].isdigit():
            command = line.split(None, 1 if line[0] == "@" else FIELDS)[-1]
            path = os.path.expandvars(command).replace("~/", os.path.expanduser("~/"))
            if all(part in path.replace("\\%", "%") for part in os.path.split(script)):
                found.append((number, command))
    return found
