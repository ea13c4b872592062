"""Work that cannot be interrupted, such as a look-up of a name by the system."""
from __future__ import annotations


def in_time(work, seconds: float):
    """What `work()` returns or raises; None when it takes longer: it is left to itself then, in a
    thread that nobody waits for. RuntimeError where the host allows no more threads."""
    import threading

    ended: list = []

    def run() -> None:
        try:
            ended.append((work(), None))
        except Exception as error:      # noqa: BLE001  (raised below)
            ended.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    result, error = ended[0] if ended else (None, None)
    if error is not None:
        raise error
    return result
