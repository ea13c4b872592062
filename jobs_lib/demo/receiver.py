"""An endpoint of the demo's own on a loopback port: it checks each webhook as any receiver would.

It signs nothing with our code: whether a signature is genuine is computed from what
docs/webhooks.md says.
"""
from __future__ import annotations

import base64
import hashlib
import hmac
import socketserver
import threading
from jobs_lib.records import namedtuple
from http.server import BaseHTTPRequestHandler

Arrived = namedtuple("Arrived", "line headers body genuine status")
Arrived.__doc__ = """One request.

headers  [(name, value)] as they arrived
genuine  whether its signature holds
"""
TOLERANCE = 300              # seconds that its time may be away from ours


class Receiver:
    """Answers 204, but 503 to the first attempt of each event in `busy_at`; 400 where the signature
    does not hold.

    secret: `whsec_...`; now: a function without arguments; a context manager. `arrived` is what
    came, in its order.
    """

    def __init__(self, secret: str, now, busy_at: tuple = ()) -> None:
        self.secret, self.now, self.busy_at = secret, now, set(busy_at)
        self.arrived: list[Arrived] = []

    def __enter__(self):
        # Not http.server's own class, which looks its host's name up.
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()

    def take(self, line: str, headers: list, body: bytes) -> int:
        """Note a request; the status to answer it with."""
        named = {name.lower(): value for name, value in headers}
        genuine = is_genuine(self.secret, named, body, self.now().timestamp())
        status = 204 if genuine else 400
        if genuine and named["webhook-id"] in self.busy_at:
            self.busy_at.remove(named["webhook-id"])
            status = 503
        self.arrived.append(Arrived(line, headers, body, genuine, status))
        return status

    def _handler(self):
        take = self.take

        class Handler(BaseHTTPRequestHandler):
            """Answers the requests of one connection."""

            timeout = 10

            def do_POST(self):
                """Read it, judge it, answer it."""
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response_only(take(self.requestline, self.headers.items(), body))
                self.end_headers()

            def log_message(self, *_):
                """Print nothing: the demo itself shows what was received."""
        return Handler


def is_genuine(secret: str, headers: dict, body: bytes, now: float) -> bool:
    """Verified as docs/webhooks.md describes; `headers` by their names in lower case."""
    moment = headers.get("webhook-timestamp", "")
    if not moment.isdecimal() or abs(now - int(moment)) > TOLERANCE:
        return False
    key = base64.b64decode(secret[len("whsec_"):])
    signed = f"{headers.get('webhook-id', '')}.{moment}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(expected, each) for each in headers.get("webhook-signature",
                                                                           "").split())
