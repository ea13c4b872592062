"""Exceptions that nothing here expects, as text that may be stored and shown: where, and nobody's
address or password.

What a library says may quote what it was given: a row, a password, a link with a token in it. So
the text of such an error passes the masking of masking.py, and the values of the secret options are
taken out of it.
"""
from __future__ import annotations

import os

OTHERS = (os.path.dirname(os.__file__) + os.sep, "<frozen", f"-packages{os.sep}",
          f"{os.sep}vendor{os.sep}")


def place(error: BaseException) -> str:
    """`queue.py line 12`: the innermost line that is not Python's own or a package's, if there is
    one."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    ours = [frame for frame in frames if not any(part in frame.filename for part in OTHERS)]
    frame = (ours or frames)[-1]
    return f"{os.path.basename(frame.filename)} line {frame.lineno}"


def sentence(error: BaseException, hidden=()) -> str:
    """`TypeError: no number (queue.py line 12)`."""
    from jobs_lib.masking import without_secrets

    return f"{type(error).__name__}: {without_secrets(str(error), hidden)} ({place(error)})"


def trace(error: BaseException, hidden=()) -> str:
    """The traceback as Python prints it."""
    import traceback

    from jobs_lib.masking import without_secrets

    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return without_secrets("".join(lines), hidden)
