"""A private Redis and a private RabbitMQ, which can die and come back."""
from __future__ import annotations

import os
import subprocess

from tests.servers.ports import free_port
from tests.servers.process import Server
from tests.support.require import program


class Redis(Server):
    """What RQ needs, and Celery can use. Each command is on the disk before it is answered."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        return [program("redis-server", "redis-server"), "--port", str(self.port), "--bind",
                "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always",
                "--dir", str(self.folder)]

    def answers(self) -> bool:
        from redis import Redis as Client
        from redis.exceptions import RedisError
        try:
            return bool(Client(port=self.port).ping())
        except RedisError:
            return False

    def fill(self, full: bool) -> None:
        """Let it refuse every write for want of memory, or no more."""
        from redis import Redis as Client
        Client(port=self.port).config_set("maxmemory", "1" if full else "0")


class RabbitMQ(Server):
    """Celery's usual broker. It takes some ten seconds to start."""

    LIBRARY = "/usr/lib/rabbitmq/bin"

    def __init__(self) -> None:
        super().__init__()
        self.others = [free_port(), free_port()]

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def __enter__(self):
        # Erlang's registry of names: one that the server starts by itself would outlive it.
        self.names = subprocess.Popen([program("epmd", "erlang-base"), "-port", str(self.others[1]),
                                       "-address", "127.0.0.1"], stdin=subprocess.DEVNULL)
        return super().__enter__()

    def __exit__(self, *about: object) -> None:
        super().__exit__(*about)
        self.names.kill()
        self.names.wait()

    def command(self) -> list[str]:
        return [self._program("rabbitmq-server")]

    def _program(self, name: str) -> str:
        # Not the one in /usr/sbin, which is a wrapper that runs the machine's own server.
        return program(f"{self.LIBRARY}/{name}", "rabbitmq-server")

    def environment(self) -> dict:
        (self.folder / "plugins").write_text("[].")
        distribution, epmd = map(str, self.others)
        own = {"NODENAME": f"jobs{self.port}@localhost", "NODE_IP_ADDRESS": "127.0.0.1",
               "NODE_PORT": str(self.port), "DIST_PORT": distribution,
               "CONF_ENV_FILE": "/dev/null"}
        files = {"MNESIA_BASE": "data", "LOG_BASE": "log", "ENABLED_PLUGINS_FILE": "plugins",
                 "CONFIG_FILE": "none", "PID_FILE": "pid"}
        own.update((name, f"{self.folder}/{file}") for name, file in files.items())
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "ERL_EPMD_PORT": epmd,
                "ERL_EPMD_ADDRESS": "127.0.0.1",
                **{f"RABBITMQ_{name}": value for name, value in own.items()}}

    def answers(self) -> bool:
        from amqp import Connection
        try:
            with Connection(f"127.0.0.1:{self.port}", connect_timeout=2, read_timeout=2):
                return True
        except OSError:
            return False

    def fill(self, full: bool) -> None:
        """Let it take no more messages for want of memory, or take them again."""
        subprocess.run([self._program("rabbitmqctl"), "-q", "set_vm_memory_high_watermark",
                        "0" if full else "0.6"], env=self.environment(), check=True,
                       stdout=subprocess.DEVNULL)
