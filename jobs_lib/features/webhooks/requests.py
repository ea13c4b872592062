"""The requests in flight, each in a thread of its own that only sends: everything else is the main
thread's."""
from __future__ import annotations

import threading
from queue import SimpleQueue

from jobs_lib.ports.http.message import Response

from .deliveries import OUR_ERROR, request


class Requests:
    """The requests that one run has in flight, as rows: each with its `lane` (picker.py), and its
    `response` once it is completed."""

    def __init__(self, ctx) -> None:
        self.ctx, self.poster = ctx, ctx.http()
        self.in_flight: list[dict] = []
        self._completed: SimpleQueue = SimpleQueue()

    def send(self, row: dict) -> None:
        """Hand a row that has begun to a thread."""
        now = self.ctx.clock()
        self.in_flight.append(row)
        try:
            threading.Thread(target=self._post, args=(row, now), daemon=True).start()
        except RuntimeError:            # the host allows no more of them: slower, but it goes on
            self._post(row, now)

    def _post(self, row: dict, now) -> None:
        """In a thread: nothing of ours is touched but the row, and the queue of completed ones."""
        try:
            made = request(row, row["lane"].endpoint, now)
            row["response"] = made if isinstance(made, Response) else self.poster.post(made)
        except Exception as error:      # noqa: BLE001  (the main thread has it recorded)
            row["error"] = error
            row["response"] = Response(OUR_ERROR, text="it could not be sent: an error of ours")
        self._completed.put(row)

    def wait(self) -> dict:
        """The next one that is completed, which none is later than its limit in time."""
        row = self._completed.get()
        self.in_flight.remove(row)
        if "error" in row:
            self.ctx.defect(row["error"], f"delivery {row['id']}")
        return row
