"""A private nginx with TLS: what most endpoints really are."""
from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

from tests.servers.ports import free_port
from tests.support.require import program

SETTINGS = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {chain};
        ssl_certificate_key {chain};
        location /ok {{ return 200 "taken"; }}
        location /moved {{ return 307 https://127.0.0.1:{port}/ok; }}
        location /gone {{ return 410; }}
        location /busy {{ add_header Retry-After 120 always; return 429; }}
        location /down {{ return 503; }}
    }}
}}
"""


class Nginx:
    """`with Nginx(folder, chain) as web:`; `chain` is a file with a certificate and its key.
    `lines()` is its log."""

    def __init__(self, folder: Path, chain: Path) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "nginx.conf").write_text(SETTINGS.format(folder=folder, port=self.port,
                                                           chain=chain))

    def __enter__(self) -> Nginx:
        self.process = subprocess.Popen(
            [program("nginx", "nginx"), "-p", str(self.folder), "-c",
             str(self.folder / "nginx.conf"),
             "-e", str(self.folder / "error.log")], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        self.process.kill()
        raise RuntimeError("nginx did not start:\n" + (self.folder / "error.log").read_text())

    def __exit__(self, *_) -> None:
        self.process.terminate()
        self.process.wait(60)

    def lines(self, number: int = 0) -> list[str]:
        """The requests that it has answered, as `POST /ok 200`; waits for so many, as it writes
        them afterwards."""
        until = time.monotonic() + 60
        while number and len(self._lines()) < number and time.monotonic() < until:
            time.sleep(0.01)
        return self._lines()

    def _lines(self) -> list[str]:
        found = []
        for line in (self.folder / "access.log").read_text().splitlines():
            words = line.split('"')
            found.append(f"{words[1].rpartition(' ')[0]} {words[2].split()[0]}")
        return found
