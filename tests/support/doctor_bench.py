"""`DoctorBench`: an installation in a temporary folder that `doctor` looks at, one area at a time,
in this process.

    installed.configure("mail", host="127.0.0.1")       write config.ini, with these options changed
    installed.found("files")                            the findings of an area that are not `ok`
    installed.one("files", "chmod 700")                 the only one with these words in it
"""
from __future__ import annotations

import os
from pathlib import Path

from tests.support.product import Installation, connect, examine, folders, loader, mark_folder

ROOT = Path(__file__).resolve().parents[2]
FINE = {"core": {"state_dir": "state", "log_dir": "log", "app_url": "https://mail.alias.example",
                 "secret_key": "a-key-for-the-tests-alone-and-no-other"},
        "spool": {"dir": "spool"},
        "mail": {"transport": "maildir", "domain": "alias.example",
                 "from": "notices@alias.example"}, "personas": {name: f"{name.title()} "
                                                                f"<{name}@alias.example>"
                                                                for name in ("porter", "overflow",
                                                                             "security",
                                                                             "postmaster")},
        "archive": {"store": "archive"}, "alerts": {"email": "you@alias.example"},
        "check_domains": {"enabled": "no"}}


class DoctorBench:
    """A healthy one, until a test spoils it. `now`, `mounts` and `crontab` are given to the
    installation."""

    def __init__(self, folder, url: str) -> None:
        self.folder, self.url = Path(folder), url
        self.sections = {name: dict(options) for name, options in FINE.items()}
        self.now, self.mounts, self.crontab, self.script = None, "", ("", ""), str(ROOT / "jobs.py")
        self.configure("core", database=url)
        for name in ("state", "log", "spool"):
            folders.private(str(self.folder / name))
        self.installation = folders.installation(str(self.folder / "state"))
        self.db = connect(url)
        mark_folder(str(self.folder / "spool"),
                    self.db.value("SELECT value FROM {meta} WHERE name = 'database_id'"))

    def configure(self, section: str, **options) -> None:
        """Write config.ini, private as it should be."""
        self.sections.setdefault(section, {}).update(options)
        lines = [line for name, chosen in self.sections.items()
                 for line in (f"[{name}]", *(f"{option} = {value}" for option,
                                             value in chosen.items()))]
        path = self.folder / "config.ini"
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o600)

    def examined(self) -> Installation:
        """Whom `doctor` would look at."""
        read = loader.load(str(self.folder / "config.ini"), beside=str(self.folder), environ={})
        return Installation(read, self.script, now=self.now, mounts=self.mounts,
                       crontab=lambda: self.crontab)

    def all(self, *areas: str) -> list:
        """Every finding of these areas, `ok` ones too."""
        installation = self.examined()
        try:
            return examine(installation, areas)
        finally:
            installation.close()

    def found(self, *areas: str) -> list:
        """Those that are not `ok`; that this may be root, and lies in /tmp, is left out."""
        return [found for found in self.all(*areas)
                if found.level != "ok" and not (os.geteuid() == 0
                                                and found.what.startswith("This is root"))
                and not found.what.startswith("This lies in the temporary folder")]

    def one(self, area: str, words: str):
        """The only finding of the area, with these words somewhere in it."""
        only, = self.found(area)
        assert words in "\n".join(only), only
        return only
