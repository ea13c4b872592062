"""Arguments to calls, errors to exit codes."""
from __future__ import annotations

import os
import sys

from jobs_lib import catalogue
from jobs_lib.errors import (
    CONFIG,
    FAILED,
    HARD_LIMIT,
    OK,
    ConfigError,
    JobsError,
    Stopped,
    UsageError,
    not_whole,
)
from jobs_lib.launch import launch
from jobs_lib.output.console import Console
from jobs_lib.output.terminal import folded, guard

# What argparse makes of no options: to load it costs half as much as starting Python.
DEFAULTS: dict = {"dry_run": False, "limit": None, "set": [], "json": False, "scheduled": False,
                  "fail_if_locked": False, "yes": False, "level": None}
TICK = "run-due"
NO_MEMORY = b"jobs.py: there is not enough memory: give it more, or let fewer jobs run at once\n"


def main(argv: list[str]) -> int:
    """Its exit code. What goes wrong is one sentence on stderr."""
    sessions: list = []

    def make_session(config_path, level=None, overrides=(), job=None):
        sessions.append(launch.open_session(Console(level), config_path, overrides, job))
        return sessions[-1]
    code = _main(argv, make_session)
    for session in sessions:
        session.ports.close()
    return code if _flushed(sys.stdout) else code or FAILED


def leave(code: int) -> None:
    """End the process without the interpreter's own shutdown, a twentieth of an idle run: all is
    written and closed, and Python 3.10 may crash in it. The packages of workers need it."""
    if {"rq", "celery"} & sys.modules.keys():
        sys.exit(code)
    try:  # noqa: SIM105  contextlib is not loaded otherwise
        sys.stderr.flush()
    except (AttributeError, OSError, ValueError):  # it is closed: nobody will ever read it
        pass
    os._exit(code)


def _main(argv: list[str], make_session) -> int:
    config_path = None
    try:
        guard()
        words, config_path = take_config(argv)
        # past argparse, as cron says it: most runs find nothing to do and should cost nothing
        if words == [TICK]:
            from jobs_lib.commands import run_due
            return run_due.tick(make_session(config_path))[1]
        if words and words[0] in catalogue.names() and words[1:] in ([], ["--scheduled"]):
            from types import SimpleNamespace
            options = {**DEFAULTS, "scheduled": len(words) == 2}
            return launch.run_job(catalogue.load(words[0]), SimpleNamespace(**options),
                                  make_session, config_path)
        from .arguments import dispatch
        return dispatch(words, make_session, config_path)
    except ConfigError as error:
        return _say(_listed(error), CONFIG)
    except JobsError as error:
        return _say(f"jobs.py: {error}", error.exit_code)
    except SystemExit as asked:  # argparse, which has printed a help
        if asked.code:
            raise
        return OK
    except KeyboardInterrupt:
        return _say("jobs.py: stopped by Ctrl-C", FAILED)
    except OSError as error:  # a folder that may not be written, a full disk, `jobs.py list | head`
        is_said = not (error.filename or _flushed(sys.stdout))
        if is_said or isinstance(error, BrokenPipeError):
            return FAILED
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"jobs.py: {where}{error.strerror or error}", FAILED)
    except MemoryError:
        pass
    except Stopped:  # outside of any run
        return _say("jobs.py: ended at the hard limit", HARD_LIMIT)
    except Exception as error:  # noqa: BLE001  a mistake of ours
        if not _lacks_memory(error):
            return _say(_unexpected(error, config_path), FAILED)
    # by now the exception, and all that it holds, is freed
    try:  # noqa: SIM105  contextlib may need memory
        os.write(2, NO_MEMORY)
    except OSError:  # nobody will ever read it
        pass
    return FAILED


def _lacks_memory(error: Exception) -> bool:
    """Python may have other words for it."""
    return isinstance(error, SystemError) or (isinstance(error, ImportError) and any(
        words in str(error) for words in ("failed to map segment", "annot allocate memory",
                                          "cannot create shared")))


def _unexpected(error: Exception, config_path: str | None) -> str:
    from contextlib import suppress
    if words := not_whole(error):
        return f"jobs.py: {words}"
    words = type(error).__name__
    with suppress(Exception):  # without memory
        words = launch.log_defect(error, config_path)
    return (f"jobs.py: an unexpected error: {words}. Please report it, unless `jobs.py doctor` "
            "finds a damaged file")


def _flushed(stream) -> bool:
    """Whether all that was printed is written."""
    try:
        if stream is not None:
            stream.flush()
        return True
    except (OSError, ValueError) as error:
        # the rest has to go somewhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if stream is sys.stdout and not isinstance(error, BrokenPipeError):
            _say(f"jobs.py: standard output: {getattr(error, 'strerror', None) or error}", FAILED)
        return False


def _say(words: str, code: int) -> int:
    try:
        print(folded(words, sys.stderr), file=sys.stderr, flush=True)
    except OSError:  # nobody will ever read it
        _flushed(sys.stderr)
    return code


def take_config(argv: list[str]) -> tuple[list[str], str | None]:
    """(the words without `--config FILE`, wherever it is, and that file)."""
    words, path, rest = [], None, iter(argv)
    for word in rest:
        if word == "--config":
            path = next(rest, "")
        elif word.startswith("--config="):
            path = word.partition("=")[2]
        else:
            words.append(word)
    if path == "":
        raise UsageError("--config: expected a file after it")
    return words, path


def _listed(error: ConfigError) -> str:
    if len(error.problems) == 1:
        return f"jobs.py: {error.problems[0]}"
    lines = "\n".join(f"  {problem}" for problem in error.problems)
    return f"jobs.py: {len(error.problems)} problems in the configuration:\n{lines}"
