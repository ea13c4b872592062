"""Commands by file, for hosts with FTP only: a file in `state_dir/commands` with one command in it
is done by the next tick, and the answer is written beside it.

    resume-mail               the file: `resume mail`
    resume-mail.taken         while it is done
    resume-mail.answer.txt    what the command printed, and how it ended
    resume-mail.refused       instead, where it was not done: the answer says why

A file is taken by its new name, which one process alone can give it, before anything is done, so
that no command is ever done twice. After a kill in between, the next tick finds it taken and its
taker dead, and says that it may have been done. Which commands may be asked for so is said by each
of them, in `BY_FILE`: True, or a tuple of the first words that may follow.
"""
from __future__ import annotations

import fcntl
import os
import shlex
import stat
import subprocess
import sys
import time
from contextlib import suppress

from jobs_lib import catalogue, commands, folders
from jobs_lib.paths import HOME, SCRIPT
from jobs_lib.text import did_you_mean

TAKEN, ANSWER, REFUSED = ".taken", ".answer.txt", ".refused"
MOST_BYTES, MOST_FILES = 1000, 10
LONGEST_NAME = 100
SETTLED_SECONDS = 10        # a file that was changed since may still be uploaded
EMPTY_SECONDS = 3600        # an empty one is, for so long
COMMAND_SECONDS = 120       # for one command; no other is begun once they have taken so long
TAKEN_SECONDS = 3600        # a taker that cannot be asked for is dead by then
KEPT_SECONDS = 30 * 86400   # answers
MOST_ANSWER = 200_000       # characters of an answer
SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_. ")


class Refused(Exception):
    """The file is not done; why, in a sentence."""


def do_all(session, folder: str, waiting: list[str], names: list[str]) -> None:
    """Do what the `waiting` files in the folder ask for, a few in each tick. `names`: all that is
    in it."""
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        session.console.say(f"{folder}: no folder of the user of the jobs, nothing in it is done")
        return
    files = CommandFiles(session, folder)
    asked = [name for name in waiting if not name.endswith(TAKEN)]
    if status.st_mode & 0o022:
        # whoever could write may have changed what is in it
        os.chmod(folder, 0o700)
        for name in asked:
            files.refuse(name, f"others could write to the folder {os.path.basename(folder)}. "
                         "It is closed to them now: upload the file again")
        return
    files.sweep(names)
    end = time.monotonic() + COMMAND_SECONDS
    for name in waiting:
        if name.endswith(TAKEN):
            files.recover(name[:-len(TAKEN)])
    for name in asked[:MOST_FILES]:
        if time.monotonic() > end:
            break
        files.do(name)


class CommandFiles:
    """The files of one folder."""

    def __init__(self, session, folder: str) -> None:
        self.session, self.folder, self.now = session, folder, session.ports.now().timestamp()

    def do(self, name: str) -> None:
        """Take a file, do what it asks for, and answer; or refuse it."""
        if len(name) > LONGEST_NAME or not SIGNS.issuperset(name):
            self.refuse(name, "a name has letters, digits, - _ . and spaces, at most "
                        f"{LONGEST_NAME}", f"unusable-name-{os.urandom(4).hex()}")
            return
        try:
            handle = self._open(name)
        except Refused as error:
            self.refuse(name, str(error))
            return
        if handle is None:
            return
        with open(handle, "rb") as file:
            try:
                words = self._words(file)
            except Refused as error:
                self.refuse(name, str(error))
                return
            if words and self._take(name, file):
                self.answer(name, *self._run(words))
                os.unlink(self._path(name + TAKEN))

    def refuse(self, name: str, why: str, called: str | None = None) -> None:
        """Put a file aside, whatever it is, and say why. What a link leads to is not touched."""
        called = called or name
        try:
            os.rename(self._path(name), self._path(called + REFUSED))
        except FileNotFoundError:                   # another tick was first
            return
        except OSError:                             # a folder, where one was refused before
            called = f"{called[:LONGEST_NAME]}-{os.urandom(4).hex()}"
            os.rename(self._path(name), self._path(called + REFUSED))
        folders.write(self._path(called + ANSWER), f"Refused, nothing was done: {why}.\n")
        self._log(called, "refused", why)

    def recover(self, name: str) -> None:
        """Say of a file whose taker is dead that it may have been done."""
        path = self._path(name + TAKEN)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:                   # it has just been done
            return
        except OSError:                             # none of ours: we take regular files
            self.refuse(name + TAKEN, f"names with {TAKEN} are for the program itself")
            return
        with open(handle, "rb") as file:
            age = self.now - os.fstat(handle).st_ctime
            free = _lock(file)
            if free is False or (free is None and age < TAKEN_SECONDS):
                return                              # its taker is at work
            if not os.path.lexists(self._path(name + ANSWER)):
                self.answer(name, None, "The process was killed while it did this. It may have "
                            "been done, in part, or not at all, and is not done again by itself. "
                            "Look first, such as by a file with `status` or `history`.")
            with suppress(FileNotFoundError):
                os.unlink(path)

    def answer(self, name: str, code: int | None, text: str) -> None:
        """Write the answer, all at once."""
        at = self.session.ports.now()
        how = "was interrupted" if code is None else f"ended with {code}"
        if len(text) > MOST_ANSWER:
            text = f"{text[:MOST_ANSWER]}\n... cut here: ask for less"
        folders.write(self._path(name + ANSWER),
                      f"The command {how}, {at:%Y-%m-%d %H:%M:%S} UTC.\n\n{text.rstrip()}\n")
        self._log(name, how)

    def sweep(self, names: list[str]) -> None:
        """Remove old answers, what was refused, and drafts of a killed process."""
        folders.sweep_drafts(self.folder, self.now)
        for name in names:
            with suppress(OSError):
                if name.endswith((ANSWER, REFUSED)) and self.now - os.lstat(
                        self._path(name)).st_mtime > KEPT_SECONDS:
                    os.unlink(self._path(name))

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _open(self, name: str) -> int | None:
        """A descriptor of a file that may be followed; None while it is still uploaded, or another
        tick has it."""
        try:
            handle = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
                             | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            link = error.errno in folders.LINK
            raise Refused("it is a link, which is not followed" if link
                          else f"it cannot be read: {error.strerror}") from None
        try:
            if self._is_settled(os.fstat(handle)):
                return handle
        except Refused:
            os.close(handle)
            raise
        os.close(handle)
        return None

    def _is_settled(self, status) -> bool:
        """Whether its upload is over. Refused for what is no private file of ours."""
        if not stat.S_ISREG(status.st_mode):
            raise Refused("it is no file")
        if status.st_uid != os.geteuid():
            raise Refused("it belongs to another user than the jobs")
        if status.st_mode & 0o022:
            raise Refused("others can write to it: set its mode to 600")
        if status.st_nlink > 1:
            raise Refused("it has a second name (a hard link)")
        age = self.now - status.st_mtime
        # a time that is far ahead was set by the uploading program
        if -EMPTY_SECONDS < age < (SETTLED_SECONDS if status.st_size else EMPTY_SECONDS):
            return False
        if status.st_size > MOST_BYTES:
            raise Refused(f"it has more than {MOST_BYTES:,} bytes")
        return True

    def _words(self, file) -> list[str] | None:
        """The command in a file; None where another tick is at it."""
        if _lock(file) is False:
            return None
        try:
            text = file.read(MOST_BYTES + 1).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Refused("it is no text in UTF-8") from None
        found = [line.strip() for line in text.splitlines()
                 if line.strip() and not line.strip().startswith("#")]
        if len(found) != 1:
            raise Refused("it holds no command" if not found else
                          "it holds several lines: a file is one command")
        try:
            words = shlex.split(found[0])
        except ValueError:
            raise Refused("it has a quote that does not end") from None
        for number, word in enumerate(words[:2]):       # as it is typed: `python3 jobs.py status`
            if os.path.basename(word) in ("jobs.py", "jobs.pyz"):
                words = words[number + 1:]
                break
        check(words)
        return words

    def _take(self, name: str, file) -> bool:
        """Give the file its new name. False where that is for another one, or it is not this file
        any more."""
        path, taken = self._path(name), self._path(name + TAKEN)
        try:
            if os.path.lexists(taken) or not os.path.samestat(os.lstat(path),
                                                              os.fstat(file.fileno())):
                return False
            with suppress(FileNotFoundError):
                os.unlink(self._path(name + ANSWER))        # of an earlier file of this name
            folders.publish(path, taken)
        except FileNotFoundError:
            return False
        return True

    def _run(self, words: list[str]) -> tuple[int | None, str]:
        """(exit code, what it printed). In a process of its own: what becomes of it is nothing to
        the tick."""
        config = self.session.config
        # without a file all is in the environment
        given = ["--config", os.path.abspath(config.path)] if config.sources.found else []
        line = [sys.executable, SCRIPT, *given, *words]
        try:
            ended = subprocess.run(
                line, cwd=HOME, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="backslashreplace",
                timeout=COMMAND_SECONDS,
                env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"})
        except subprocess.TimeoutExpired as error:
            printed = (error.stdout or b"").decode(errors="backslashreplace")
            return None, f"It took more than {COMMAND_SECONDS} seconds and was ended.\n{printed}"
        except OSError as error:
            return None, f"It could not be started: {error.strerror}"
        return ended.returncode, ended.stdout

    def _log(self, name: str, how: str, why: str = "") -> None:
        from jobs_lib.runner.log import open_log
        log = open_log(self.session.config.section("core"), "run-due", now=self.session.ports.now,
                       silent=True, job="run-due", run_id=None)
        log.event("command file", file=name, outcome=how, **({"reason": why} if why else {}))
        log.close()


def check(words: list[str]) -> None:
    """Refused for what may not be asked for by a file."""
    if not words:
        raise Refused("it holds no command")
    name = words[0]
    if any(word.partition("=")[0] == "--config" for word in words):
        raise Refused("--config cannot be given here: the jobs have their own")
    if name in commands.names():
        by_file = getattr(commands.load(name), "BY_FILE", False)
        if by_file is False:
            raise Refused(f"`{name}` cannot be asked for by a file; these can: {listed()}")
        if by_file is not True and words[1:2] != [] and words[1] not in by_file:
            raise Refused(f"of `{name}`, only {' and '.join(by_file)} can be asked for by a file")
        if by_file is not True and len(words) == 1:
            raise Refused(f"after `{name}` comes {' or '.join(by_file)}")
    elif name in catalogue.names():
        if "--dry-run" not in words:
            raise Refused(f"cron runs {name}; by a file only `{name} --dry-run` can be asked for")
    else:
        known = [*allowed(), *catalogue.names()]
        raise Refused(f"there is no such command{did_you_mean(name, known)}".rstrip("?")
                      + f"; these can be asked for: {listed()}")


def allowed() -> list[str]:
    """The commands that may be asked for by a file."""
    return [name for name in commands.names() if getattr(commands.load(name), "BY_FILE", False)]


def listed() -> str:
    """The same in words."""
    return f"{', '.join(allowed())}, and JOB --dry-run"


def _lock(file) -> bool | None:
    """Whether this process alone works on the file, until it ends; None where a file system has no
    locks, and the new name decides alone."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
