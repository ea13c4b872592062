"""A private copy of the installation, in which a job runs for real: database, spool, state, logs,
and an outbox.

Nothing in it leads back: the spool is copied and never linked, since a job may truncate a file, and
mail goes into a folder. Whatever the job does is then read off by comparing the copy with a second
one.
"""
from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from contextlib import closing, suppress

from jobs_lib import folders, masking
from jobs_lib.config.option_types import show_size
from jobs_lib.database import copies
from jobs_lib.database.names import Names
from jobs_lib.database.schema import NAMES
from jobs_lib.errors import DatabaseError, UsageError
from jobs_lib.features.exports.further import is_secret
from jobs_lib.features.forwards.headers import header_text, read_headers
from jobs_lib.records import namedtuple
from jobs_lib.runner import adoption
from jobs_lib.runner.dead_runs import is_there
from jobs_lib.text import size

# the folder of a sandbox: PREFIX, the process that made it, a dash; or KEPT, and never removed
PREFIX, KEPT = "jobs-sandbox-", "kept"
MARGIN = 50 * 1024 ** 2     # bytes that stay free in the temporary folder
KEPT_ROWS = 1000            # of one table in --json; all are counted

# Every folder that a run may write to, and where it is in the copy. A test looks that no new one is
# forgotten.
WRITTEN = {("core", "state_dir"): "state", ("core", "log_dir"): "log", ("spool", "dir"): "spool",
           ("mail", "maildir"): "outbox", ("archive", "store"): "archives",
           ("webhooks", "outbox"): "requests", ("export", "dir"): "exports",
           ("status", "page"): "page/status.html",
           ("status", "metrics"): "page/jobs.prom"}
READ = {("mail", "ca_file"), ("archive", "ca_file"), ("notifications", "templates"),
        ("webhooks", "ca_file")}

Size = namedtuple("Size", "database spool files")


class Sandbox:
    """`with Sandbox(config) as box:` makes the copy; its end removes it, unless `keep` is set."""

    def __init__(self, config, most: int, keep: bool = False) -> None:
        core = config.section("core")
        self.config, self.keep, self.most = config, keep, most
        self.original = copies.database_file(core.database, config.folder)
        self.spool, self.state = config.section("spool").dir, core.state_dir
        self.folder = ""
        found = list(_files(self.spool))
        self.size = Size(copies.size(self.original), sum(length for _, length in found),
                         len(found))
        self._check_size()

    def _check_size(self) -> None:
        """Refuse what is larger than was asked for, or than there is room; the database is copied
        twice."""
        needed = 2 * self.size.database + self.size.spool
        about = (f"the copy needs {size(needed)} (twice the database, "
                 f"{size(self.size.database)}, and {self.size.files:,} files of the spool, "
                 f"{size(self.size.spool)})")
        if needed > self.most:
            raise UsageError(f"--sandbox: {about}, and the limit is {show_size(self.most)}: allow "
                             f"more by --max-size {needed * 11 // 10 // 1024 ** 2 + 1}MB, or look "
                             "at the dry run")
        where = tempfile.gettempdir()
        free = shutil.disk_usage(where).free
        if needed + MARGIN > free:
            raise UsageError(f"--sandbox: {about}, and {where} has {size(free)} left: make "
                             "room, or set the environment variable TMPDIR to a private folder "
                             "that has it")

    def __enter__(self) -> Sandbox:
        maker = KEPT if self.keep else os.getpid()
        self.folder = tempfile.mkdtemp(prefix=f"{PREFIX}{maker}-")      # 0700
        try:
            self._copy()
        except BaseException:
            self.keep = False
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name: str) -> str:
        """A file or folder in the copy."""
        return os.path.join(self.folder, name)

    def _copy(self) -> None:
        # The database first: a message's file is there before its row, so each row that is copied
        # finds its file.
        copies.copy(self.config.section("core").database, self.config.folder, self.path("jobs.db"))
        self._confirm()
        shutil.copy2(self.path("jobs.db"), self.path("before.db"))
        if os.path.isdir(self.spool):
            os.mkdir(self.path("spool"), 0o700)
        for name, _ in _files(self.spool):
            target = os.path.join(self.path("spool"), name)
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            _copy_file(os.path.join(self.spool, name), target)
        folders.private(self.path("state"))
        # The same key: rewritten senders and marks against loops come out as they would.
        _copy_file(os.path.join(self.state, "secret"), os.path.join(self.path("state"), "secret"))
        self.before = _listing(self.path("spool"))

    def _confirm(self) -> None:
        """On an app's tables a job may stay off until it is confirmed: in a copy it can be tried
        before. What is asked about by the first look is, too."""
        from jobs_lib.database.connection import connect
        from jobs_lib.database.schema import app_gaps
        db = connect(f"sqlite:///{self.path('jobs.db')}", prefix=self.config.section("core").prefix,
                     tables=self.config.tables(), columns=self.config.columns(),
                     also=self.config.also())
        with closing(db), suppress(DatabaseError):
            app_gaps.note(db)
            adoption.confirm_all(db)

    def settings(self) -> list[str]:
        """What `--set` has to say so that a run stays in the copy."""
        # No store for archives stays none: the job does something else then. No outbox would mean
        # the network.
        inside = [f"{section}.{option}={self.path(name)}" for (section, option),
                  name in WRITTEN.items() if section != "archive"
                  or self.config.section(section).store]
        return [*inside, f"core.database=sqlite:///{self.path('jobs.db')}", "core.lock=file",
                "mail.transport=maildir"]

    def tables(self) -> dict:
        """{table: {"added", "changed", "deleted": how many, "rows": [...]}} of what is no longer as
        it was."""
        names = Names(self.config.section("core").prefix, self.config.tables(),
                      self.config.columns())
        found = {}
        for name in NAMES:
            ours = names.ours(name)
            found[name] = self._changes(names(name), lambda side, ours=ours: {
                ours.get(column.lower(), column): value for column, value in side.items()})
        for further in self.config.also():
            found[further.table] = self._changes(further.table, lambda side: {
                column: value for column, value in side.items() if not is_secret(column)})
        return {name: changes for name, changes in found.items() if changes["rows"]}

    def _changes(self, table: str, named) -> dict:
        """What has changed in one of them; `named(row)` has its columns as they are shown."""
        counts = {"added": 0, "changed": 0, "deleted": 0}
        rows: list[dict] = []
        for change in copies.differences(self.path("before.db"), self.path("jobs.db"), table):
            counts[change.kind] += 1
            if len(rows) < KEPT_ROWS:
                rows.append(_shown(copies.Change(change.kind, *map(named, change[1:]))))
        return {**counts, "rows": rows}

    def files(self) -> dict:
        """{"added", "changed", "deleted": names} of the spool's copy."""
        after = _listing(self.path("spool"))
        return {"added": sorted(after.keys() - self.before.keys()),
                "changed": sorted(name for name in after if self.before.get(name, after[name])
                                  != after[name]), "deleted": sorted(self.before.keys()
                                                                     - after.keys())}

    def outbox(self) -> list[dict]:
        """The mail that would have gone out: item, from and to (masked), subject, bytes."""
        folder = os.path.join(self.path("outbox"), "new")
        mail = []
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            headers = read_headers(path)
            sender, recipient = (masking.text(header_text(headers, name).strip("<>")) or "<>"
                                 for name in ("X-Envelope-From", "X-Envelope-To"))
            mail.append({"item": name.partition(".")[0], "from": sender, "to": recipient,
                         "bytes": os.path.getsize(path),
                         "subject": masking.text(header_text(headers, "Subject"))})
        return mail

    def requests(self) -> list[dict]:
        """The webhooks that would have gone out: item, where to (without a query), bytes with the
        head."""
        folder, found = self.path("requests"), []
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                head = [line.decode("ascii") for line in (file.readline(8192), file.readline(8192))]
            where = head[1].partition(":")[2].strip() + head[0].split()[1].partition("?")[0]
            found.append({"item": name.partition(".")[0], "to": where,
                          "bytes": os.path.getsize(path)})
        return found


def remove_left_over() -> int:
    """Remove the copies whose maker was killed: they hold people's mail. How many there were."""
    removed, above = 0, tempfile.gettempdir()
    for name in os.listdir(above):
        found = re.match(rf"{PREFIX}(\d+)-", name)
        if found and not is_there(found[1]):
            folder = os.path.join(above, name)
            shutil.rmtree(folder, ignore_errors=True)
            removed += not os.path.lexists(folder)      # else it is another user's
    return removed


def _shown(change) -> dict:
    """A Change for a person: {"change", "key", "columns": {name: [before, after]}}, only what
    differs."""
    names = [name for name in change.after or change.before if change.before.get(name)
             != change.after.get(name)]
    return {"change": change.kind, "key": {name: masking.value(name, value) for name,
                                           value in change.key.items()},
            "columns": {name: [masking.value(name, side.get(name)) for side in (change.before,
                                                                                change.after)]
                        for name in names if name not in change.key}}


def _files(folder: str):
    """(relative name, bytes) of each regular file below; links are no messages and are left out."""
    for above, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(above, name)
            try:
                status = os.lstat(path)
            except FileNotFoundError:           # a run has just deleted it
                continue
            if stat.S_ISREG(status.st_mode):
                yield os.path.relpath(path, folder), status.st_size


def _listing(folder: str) -> dict:
    return {name: (length, os.stat(os.path.join(folder, name)).st_mtime_ns)
            for name, length in _files(folder)}


def _copy_file(source: str, target: str) -> None:
    """Copy a file with its times; one that has just been deleted is left out."""
    with suppress(FileNotFoundError):
        shutil.copy2(source, target)
