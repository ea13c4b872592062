"""Work in a process of its own, which may be killed."""
from __future__ import annotations

import os


def is_killed(work) -> bool:
    """Whether a process that does it was killed; one that ends by itself has to end well, which
    `work` says. It opens connections of its own."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(not work())
        finally:
            os._exit(70)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)
