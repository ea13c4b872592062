"""Requests into files, for trying things out: each is taken, answered 200, and goes nowhere."""
from __future__ import annotations

import os
import re

from jobs_lib.folders import write

from .message import ANSWERED, OURS, Request, Response


class FilePoster:
    """Writes into `[webhooks] outbox`, which it makes when it is missing."""

    def __init__(self, webhooks) -> None:
        self.folder, self.seconds = webhooks.outbox, webhooks.timeout.total_seconds()

    def post(self, request: Request) -> Response:
        """Keep one request, under the name of its item: the same again replaces it. No name is
        resolved."""
        from .client import prepare
        from .connect import Failure
        try:
            _, data = prepare(request)
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            name = re.sub(r"[^A-Za-z0-9._-]", "_", str(request.item_id)).lstrip(".") + ".http"
            write(os.path.join(self.folder, name), data)
        except Failure as failure:
            return failure.response
        except OSError as error:
            return Response(OURS, text=f"[webhooks] outbox = {self.folder}: "
                            f"{error.strerror or error}")
        return Response(ANSWERED, 200, "", "written into a file, not sent")

    def close(self) -> None:
        """Does nothing: nothing is open."""
