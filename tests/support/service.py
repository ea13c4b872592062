"""A whole installation in a temporary folder, run as an operator's cron runs it: real processes,
real files."""
from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from jobs_lib import clock
from jobs_lib.database.connection import connect

ROOT = Path(__file__).resolve().parents[2]
CONTENT = (b"Received: from shop.example by alias.example; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
           b"From: Shop <orders@shop.example>\r\nTo: box@alias.example\r\nMessage-ID: "
           b"<%s@shop.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nSubject: Order "
           b"%s\r\n\r\nThank you.\r\n.\r\n..dots\r\n")


class Service:
    """config.ini, database, spool. `run` starts `jobs.py`; `db` is a second connection that only
    looks."""

    def __init__(self, folder, url: str, **sections: dict) -> None:
        self.folder, self.url = Path(folder), url
        self.spool = self.folder / "spool"
        self.sections = {"core": {"database": url, "state_dir": "state", "log_dir": "log"},
                         "spool": {"dir": "spool"},
                         "mail": {"host": "127.0.0.1", "security": "none",
                                  "domain": "service.example", "per_hour": "off"}}
        for name, options in sections.items():
            self.sections.setdefault(name, {}).update(options)
        self.configure()
        self.run("migrate")
        self.db = connect(url)

    def configure(self, section: str = "core", **options) -> None:
        """Write config.ini, with these options changed."""
        self.sections.setdefault(section, {}).update(options)
        lines = [line for name, options in self.sections.items()
                 for line in (f"[{name}]", *(f"{option} = {value}" for option,
                                             value in options.items()))]
        (self.folder / "config.ini").write_text("\n".join(lines) + "\n")

    def start(self, *words: str, launcher: str = str(ROOT / "jobs.py"),
              **environment: str) -> subprocess.Popen:
        """Start `jobs.py WORDS` and return the process."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return subprocess.Popen([sys.executable, launcher, *words], cwd=self.folder, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE,
                                env={**kept, "JOBS_CONFIG": str(self.folder / "config.ini"),
                                     **environment})

    def run(self, *words: str, code: int = 0, **how: str) -> str:
        """Run `jobs.py WORDS` to its end, check the exit code, return stdout."""
        process = self.start(*words, **how)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, f"{words} ended with {process.returncode}: {out}{err}"
        return out

    def job(self, name: str, *words: str, code: int = 0, **how: str) -> dict:
        """Run a job and return its outcome."""
        return json.loads(self.run(name, "--json", *words, code=code, **how))

    def owner(self, **values) -> dict:
        """A user with an alias and a destination: their ids."""
        now = clock.now()
        user = self.db.insert("users", **{"email": "owner@home.example", "name": "Jo",
                                          "created_at": now, **values})
        alias = self.db.insert("aliases", user_id=user, address=f"box{user}@alias.example",
                               created_at=now)
        destination = self.db.insert("destinations", user_id=user, email="owner@home.example",
                                     created_at=now)
        return {"user_id": user, "alias_id": alias, "destination_id": destination}

    def forwards(self, number: int, content: bytes = CONTENT, **values) -> list[int]:
        """Failed forwards, due now unless `values` say otherwise; each with its file. Their ids."""
        owner = self.owner() if "user_id" not in values else {}
        ids = []
        with self.db.transaction():
            for _ in range(number):
                name = os.urandom(6).hex()
                (self.spool / name).write_bytes(content.replace(b"%s", name.encode()))
                ids.append(self.db.insert("failed_emails", **{
                    **owner, "envelope_from": "orders@shop.example",
                    "envelope_to": "owner@home.example",
                    "raw_path": name, "created_at": clock.now() - timedelta(hours=2), **values}))
        return ids

    def statuses(self, table: str = "failed_emails") -> dict[str, int]:
        """{status: number of rows}."""
        rows = self.db.query(f"SELECT status, COUNT(*) AS n FROM {{{table}}} GROUP BY status")
        return {row["status"]: row["n"] for row in rows}

    def log(self, job: str) -> list[dict]:
        """The events of a job's log."""
        return [json.loads(line) for line in (self.folder / "log"
                                              / f"{job}.log").read_text().splitlines()]
