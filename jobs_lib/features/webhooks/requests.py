"""The requests in flight, each in a thread of its own that only sends: everything else is the main
thread's."""
from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue

from jobs_lib.ports.http.message import BUSY, TIMEOUT, Response

from .deliveries import Unsendable, request
from .outcomes import NOT_SENT, Verdict, judge

# seconds past its limit after which a request is given up: its look-up hangs
LATE = 0.5
# seconds without an answer, many times what most endpoints take, after which a request is quiet
PATIENCE = 1.0


class Attempt:
    """One request: a row on its way to an endpoint. What came of it is known once it is completed.

    started   on time.monotonic()       seconds  that it took
    is_quiet  whether it has waited for PATIENCE seconds; what drips has not answered either
    """

    response: Response
    verdict: Verdict
    seconds: float
    is_quiet = False

    def __init__(self, row: dict, endpoint: dict) -> None:
        self.row, self.endpoint, self.started = row, endpoint, time.monotonic()

    @property
    def owner(self):
        """The user whose delivery this is."""
        return self.row["user_id"]

    @property
    def is_void(self) -> bool:
        """Whether nothing was sent, since the address was busy: as if it had not begun."""
        return self.response.outcome == BUSY


class Requests:
    """The requests that one run has in flight."""

    def __init__(self, ctx) -> None:
        self.ctx, self.poster = ctx, ctx.http()
        self.seconds = ctx.section("webhooks").timeout.total_seconds()
        self.in_flight: list[Attempt] = []
        self._answers: SimpleQueue = SimpleQueue()

    def send(self, row: dict, endpoint: dict, more: bool) -> None:
        """Hand a row that has begun to a thread. `more`: another one to this endpoint follows."""
        attempt = Attempt(row, endpoint)
        self.in_flight.append(attempt)
        try:
            given = request(row, endpoint, self.ctx.clock())._replace(endpoint=endpoint["id"],
                                                                      more=more)
        except Unsendable as error:
            response = Response(error.outcome, text=str(error), reached=None)
            self._answers.put((attempt, response, 0.0, None))
            return
        try:
            threading.Thread(target=self._post, args=(attempt, given), daemon=True).start()
        except RuntimeError:            # the host allows no more of them: slower, but it goes on
            self._post(attempt, given)

    def _post(self, attempt: Attempt, given) -> None:
        """In a thread: nothing of ours is touched but the queue of answers."""
        began, defect = time.monotonic(), None
        try:
            response = self.poster.post(given)
        except Exception as error:      # noqa: BLE001  (the main thread has it recorded)
            response = Response(NOT_SENT, text="it could not be sent: an error of ours",
                                reached=None)
            defect = error
        self._answers.put((attempt, response, time.monotonic() - began, defect))

    def completed(self) -> list[Attempt]:
        """Those that are completed, or given up, as soon as there are any; none when nothing is in
        flight, or one more has become quiet."""
        if not self.in_flight:
            return []
        limit, found = self.seconds + LATE, []
        until = min(attempt.started + (limit if attempt.is_quiet else PATIENCE)
                    for attempt in self.in_flight)
        try:
            answer = self._answers.get(timeout=max(until - time.monotonic(), 0))
            while True:
                if answer[0] in self.in_flight:     # else it was given up
                    found.append(self._complete(*answer))
                answer = self._answers.get_nowait()
        except Empty:
            pass
        too_late = Response(TIMEOUT, text=f"no answer within {self.seconds:g} seconds",
                            reached=False)
        now = time.monotonic()
        late = [attempt for attempt in self.in_flight if attempt.started + limit <= now]
        found += [self._complete(attempt, too_late, limit, None) for attempt in late]
        for attempt in self.in_flight:
            attempt.is_quiet = attempt.started + PATIENCE <= now
        return found

    def _complete(self, attempt: Attempt, response: Response, seconds: float,
                  defect: Exception | None) -> Attempt:
        if defect is not None:
            self.ctx.defect(defect, f"delivery {attempt.row['id']}")
        self.in_flight.remove(attempt)
        attempt.response, attempt.seconds = response, seconds
        attempt.verdict = judge(response, self.ctx.clock())
        return attempt
