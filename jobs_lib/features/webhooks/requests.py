"""The requests in flight, each in a thread of its own that only sends: everything else is the main
thread's."""
from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue

from jobs_lib.ports.http.message import TIMEOUT, Response

from .deliveries import request
from .outcomes import OUR_ERROR

# seconds past its limit after which a request is given up: its look-up hangs
LATE = 0.5


class Attempt:
    """One request: a row on its way to an endpoint, in its lane (picker.py). The response is known
    once it is completed. `started`: on time.monotonic()."""

    response: Response

    def __init__(self, row: dict, lane) -> None:
        self.row, self.lane = row, lane
        self.started = time.monotonic()


class Requests:
    """The requests that one run has in flight."""

    def __init__(self, ctx) -> None:
        self.ctx, self.poster = ctx, ctx.http()
        self.seconds = ctx.section("webhooks").timeout.total_seconds()
        self.in_flight: list[Attempt] = []
        self._answers: SimpleQueue = SimpleQueue()

    def send(self, row: dict, lane) -> None:
        """Hand a row that has begun to a thread."""
        attempt = Attempt(row, lane)
        self.in_flight.append(attempt)
        try:
            threading.Thread(target=self._post, args=(attempt, self.ctx.clock()),
                             daemon=True).start()
        except RuntimeError:            # the host allows no more of them: slower, but it goes on
            self._post(attempt, self.ctx.clock())

    def _post(self, attempt: Attempt, now) -> None:
        """In a thread: nothing of ours is touched but the queue of answers."""
        answer: Response | Exception
        try:
            made = request(attempt.row, attempt.lane.endpoint, now)
            answer = made if isinstance(made, Response) else self.poster.post(made)
        except Exception as error:      # noqa: BLE001  (the main thread has it recorded)
            answer = error
        self._answers.put((attempt, answer))

    def wait(self) -> Attempt:
        """The next one that is completed, or given up."""
        while True:
            oldest = self.in_flight[0]
            left = oldest.started + self.seconds + LATE - time.monotonic()
            try:
                attempt, answer = self._answers.get(timeout=max(left, 0))
            except Empty:
                attempt = oldest
                answer = Response(TIMEOUT, text=f"no answer within {self.seconds:g} seconds")
            if attempt in self.in_flight:               # else it was given up
                break
        if isinstance(answer, Exception):
            self.ctx.defect(answer, f"delivery {attempt.row['id']}")
            answer = Response(OUR_ERROR, text="it could not be sent: an error of ours")
        self.in_flight.remove(attempt)
        attempt.response = answer
        return attempt
