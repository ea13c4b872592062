"""`config set`: one option of config.ini or .env, checked as the loader checks it, before a byte is
written."""
from __future__ import annotations

import copy
import fcntl
import os
import stat
import sys
from contextlib import contextmanager, suppress

from jobs_lib import catalogue, folders
from jobs_lib.config import edit, loader, option_types, settings
from jobs_lib.config.loader import Config, known_sections, variable_name
from jobs_lib.config.option_types import Option
from jobs_lib.doctor.mistakes import mistakes
from jobs_lib.errors import OK, ConfigError, NoAccess, UsageError
from jobs_lib.output.config_example import short_ini
from jobs_lib.paths import SCRIPT
from jobs_lib.runner.access import refuse_root
from jobs_lib.text import did_you_mean

from ._arguments import SEEN, asked

NEW_LINE = 0             # what stands for the line that is not written yet


def change(session, where: str, value: str | None, jobs: list) -> int:
    """Set SECTION.OPTION, or say in one sentence why not; then no file has changed."""
    section, _, name = where.strip().partition(".")
    option = _option(section, name)
    config = session.config
    refuse_root(config, f"config set {where} ...")
    if value is None:
        if not option.kind.mask and sys.stdin.isatty():
            raise UsageError(f"config set {where}: expected a value after it")
        value = asked(where)
        if not value.strip() and sys.stdin.isatty():
            session.console.report(f"{where} is as it was: no value was given")
            return OK
    elif _is_secret(option, value.strip()):
        session.console.fail(f"{SEEN}: `jobs.py config set {where}`, which asks for the value.")
    value, variable = value.strip(), variable_name(section, name)
    with _alone(config.folder):
        # another `config set` may have written since this process read the files
        config = loader.load(config.path if config.sources.found else None, beside=config.folder)
        _refuse(config, section, name, value, jobs)
        if variable in config.sources.dotenv or (_is_secret(option, value) and _can_read_dotenv()):
            place = _into_dotenv(config, section, name, value)
        else:
            place = _into_ini(config, section, name, option, value)
    shown = option.kind.mask(value) if option.kind.mask else value
    session.console.report(f"[{section}] {name} = {shown} ({place})")
    if variable in config.sources.environ:
        session.console.report(f"The environment variable {variable} wins over it: remove that.")
    return OK


@contextmanager
def _alone(folder: str):
    """One `config set` at a time: the lock is on the folder itself, so it leaves no file. Where a
    file system has no locks for folders, there is none."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:                             # what is written into it reports that
        yield
        return
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _option(section: str, name: str) -> Option:
    """What is known of it; UsageError for a section or an option that there is not."""
    if not section:
        raise UsageError("config set: expected SECTION.OPTION, such as mail.host")
    known = known_sections()
    if section not in known or not name:
        near = did_you_mean(section, known) if section not in known else ""
        what = f"there is no section [{section}]{near}" if section not in known else \
            f"expected SECTION.OPTION, such as {section}.{next(iter(_options(section)), 'users')}"
        raise UsageError(f"config set: {what}")
    if section in (settings.TABLES, settings.COLUMNS):
        return Option(option_types.identifier, "", "")
    options = _options(section)
    if name not in options:
        raise UsageError(f"config set: [{section}] has no option {name!r}"
                         f"{did_you_mean(name, options)} (it has {', '.join(options)})")
    if options[name].argument:
        raise UsageError(f"config set: {name} is about one run: `jobs.py {section} --set "
                         f"{name}=VALUE`")
    return options[name]


def _options(section: str) -> dict:
    if section in catalogue.names():
        return settings.job_options(catalogue.load(section))
    return settings.SECTIONS.get(section, {})


def _is_secret(option: Option, value: str) -> bool:
    return bool(option.kind.mask) and option.kind.mask(value) != value


def _can_read_dotenv() -> bool:
    """Whether this Python has what reads .env: else a secret in there would stop every run."""
    try:
        import dotenv.parser  # noqa: F401
    except ImportError:
        return False
    return True


def _refuse(config: Config, section: str, name: str, value: str, jobs: list) -> None:
    """ConfigError with what would be wrong with this value and is not wrong already."""
    if any(sign in value for sign in "\n\r"):
        raise ConfigError(f"[{section}] {name}: expected one line; nothing was changed")
    sources = copy.copy(config.sources)
    sources.values = {**sources.values, section: {**sources.values.get(section, {}),
                                                  name: (value, NEW_LINE)}}
    variable = variable_name(section, name)
    sources.environ, sources.dotenv = ({key: text for key, text in found.items() if key != variable}
                                       for found in (sources.environ, sources.dotenv))
    before = {finding.what for finding in mistakes(config, jobs)}
    new = [finding.what for finding in mistakes(Config(config.path, sources), jobs)
           if finding.what not in before]
    if new:
        place = f" ({config.path} line {NEW_LINE})"
        raise ConfigError(*(f"{words.replace(place, '')}; nothing was changed" for words in new))


def _into_ini(config: Config, section: str, name: str, option: Option, value: str) -> str:
    """Write config.ini, from the short example where there is none. Where it is now, in words."""
    text = _read(config.path, config) if config.sources.found else short_ini()
    default = option.default if option.default is not None else ""
    changed = edit.with_option(text, section, name, value, default)
    _write(config.path, changed, 0o600 if _is_secret(option, value) else _mode(config.path),
           config)
    return config.path


def _into_dotenv(config: Config, section: str, name: str, value: str) -> str:
    """Write .env, which wins over config.ini; there, a comment takes the place of a former value.
    """
    path, variable = os.path.join(config.folder, ".env"), variable_name(section, name)
    text = _read(path, config) if os.path.exists(path) else ""
    _write(path, edit.with_variable(text, variable, value), 0o600, config)
    if name in config.sources.values.get(section, {}):
        ini = _read(config.path, config)
        changed = edit.without_option(ini, section, name, f"{name}: {variable} in .env")
        _write(config.path, changed, _mode(config.path), config)
    return path


def _read(path: str, config: Config) -> str:
    """The text with its line ends; ConfigError for what is no text, which must not be written over.
    """
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(*(config.sources.problems or
                            [f"{path} is not in UTF-8: save it as UTF-8"])) from None
    except OSError as error:
        raise _no_access(path, config, error) from None


def _write(path: str, text: str, mode: int, config: Config) -> None:
    try:
        folders.write(os.path.realpath(path), text, mode)       # a link stays one
    except OSError as error:
        raise _no_access(os.path.dirname(os.path.realpath(path)), config, error) from None


def _no_access(path: str, config: Config, error: OSError) -> NoAccess:
    """Never that the file be given to this user: its owner's cron could not read it then."""
    if not isinstance(error, PermissionError):
        return NoAccess(folders.cause(error))
    owner = os.stat(path).st_uid
    if owner == os.geteuid():
        return NoAccess(f"{path} cannot be used: {folders.owner_words(path)}")
    command = folders.as_user(owner, f"python3 {SCRIPT} --config {config.path} config set ...")
    return NoAccess(f"{path} belongs to {folders.user_name(owner)}: run `{command}`")


def _mode(path: str) -> int:
    """As private as it is; a new file for its owner alone."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return 0o600
