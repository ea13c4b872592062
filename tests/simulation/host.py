"""One installation of the product: its folder, its configuration, and its commands, each of which
runs in a process forked from this one, on the simulated clock and world."""
from __future__ import annotations

import contextlib
import gc
import importlib
import os
import random
import resource
import signal
import sys
import traceback
import zoneinfo
from pathlib import Path

from tests.support import product

from . import points

LONGEST = 60                    # seconds of the processor that a command may take


class Host:
    """`options`: {section: {option: value}} of its config.ini, which `configure` writes."""

    def __init__(self, folder: Path, simulation, shared: Path | None = None) -> None:
        self.folder, self.simulation = folder, simulation
        folder.mkdir(parents=True)
        beside = shared or folder
        self.options: dict[str, dict] = {
            "core": {"database": simulation.url, "state_dir": "state", "log_dir": "log",
                     "timezone": "Europe/Berlin", "app_url": "https://app.service.example",
                     "secret_key": "k" * 40,
                     "lock": "database" if "mysql" in simulation.url else "file"},
            "spool": {"dir": beside / "spool"}, "export": {"dir": beside / "exports"},
            "archive": {"store": beside / "archive"},
            "mail": {"transport": "maildir", "maildir": "unused", "domain": "alias.example",
                     "from": "postmaster@alias.example", "srs_secret": "s" * 40, "per_hour": 30},
            "dns": {"mx_hosts": "mx1.service.example"},
            "alerts": {"email": "operator@ops.test"},
            # short enough to be reached within the days that are simulated (oracle/retention.py)
            "archive_audit_logs": {"keep": "25d", "keep_critical": "40d"},
            "purge_message_logs": {"keep": "35d"}, "purge_notifications": {"keep": "20d"},
            "purge_webhook_deliveries": {"keep": "10d"}, "purge_job_history": {"keep": "3d"},
            "rollup_usage": {"keep": "45d"}, "check_jobs": {"schedule": "*/30 * * * *"}}
        if simulation.redis:
            self.options["worker"] = {"redis": simulation.redis}
        self.stopped: list[int] = []            # processes that were stopped
        self.configure()

    def configure(self, only: tuple = (), **sections: dict) -> None:
        """Change options, and write config.ini, or `only` these sections of it."""
        for name, values in sections.items():
            self.options.setdefault(name, {}).update(values)
        (self.folder / "config.ini").write_text("".join(
            f"[{name}]\n" + "".join(f"{option} = {value}\n" for option, value in values.items())
            for name, values in self.options.items() if name in (only or self.options)))
        (self.folder / "config.ini").chmod(0o600)

    @staticmethod
    def warm(redis: str = "") -> None:
        """Load what the processes need, so that each of them has it."""
        product.load_all(workers=bool(redis))
        for name in ("encodings.ascii", "encodings.utf_8_sig", "tests.support.databases"):
            importlib.import_module(name)
        zoneinfo.ZoneInfo("Europe/Berlin")
        gc.collect()
        gc.freeze()                             # the children share it, and copy nothing

    def run(self, *words: str) -> int:
        """`jobs.py WORDS` in a process of its own. Its exit code, or minus the signal that ended or
        stopped it."""
        return self.wait(self.start(*words))

    def start(self, *words: str) -> int:
        """The same without waiting for its end: the process."""
        child = os.fork()
        if child == 0:
            code = 70
            try:
                code = self._become(words)
            except BaseException:           # noqa: BLE001  a mistake of the simulation
                traceback.print_exc()
            finally:
                os._exit(code)
        return child

    def go_on(self, child: int) -> int:
        """Let a stopped process continue, until it ends or is stopped again."""
        self.stopped.remove(child)
        os.kill(child, signal.SIGCONT)
        return self.wait(child)

    def wait(self, child: int) -> int:
        """Until it ends or is stopped; how, as `run` says it."""
        _, status = os.waitpid(child, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            self.stopped.append(child)
            return -os.WSTOPSIG(status)
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

    def _become(self, words: tuple) -> int:
        # a loop without an end is an error too, and no budget ends it: time does not pass by itself
        # (it ends by SIGXCPU: a SIGKILL might be anybody's)
        resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, 2 * LONGEST))
        gc.disable()
        os.chdir(self.folder)
        printed = os.open("printed", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        # a test may have replaced them
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        simulation = self.simulation
        # a worker's numbers are not those of the tick before it: they name runs
        of = [simulation.seed, self.folder.name, simulation.tick, *words[:words[0] == "worker"]]
        chosen = random.Random(" ".join(map(str, of)))
        os.urandom = chosen.randbytes
        product.live_in(simulation.clock, simulation.outside, simulation.connecting,
                        simulation.timeout)
        points.install(simulation.strikes)
        if simulation.mutant:           # strikes meet what it does, as they would in the product
            simulation.mutant(simulation.strikes.mutated)
        try:
            return product.main([*words, "--config", str(self.folder / "config.ini")])
        finally:
            sys.stdout.flush()
            sys.stderr.flush()

    def printed(self) -> str:
        """What its commands printed since this was last asked."""
        path, text = self.folder / "printed", ""
        with contextlib.suppress(FileNotFoundError):
            text = path.read_text()
            path.unlink()
        return text
