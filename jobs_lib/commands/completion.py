"""Print a script for your shell that completes commands, jobs, options and their values by the Tab
key.

Its first line says where to put it. It knows the names of this version: print it again after an
update. It completes after `jobs.py`, after `python3 jobs.py` and after `jobs.pyz`.
"""
from __future__ import annotations

from jobs_lib.errors import OK
from jobs_lib.text import one_of

SHELLS = ("bash", "zsh", "fish")


def arguments(parser) -> None:
    """Declares the shell."""
    parser.add_argument("shell", metavar="|".join(SHELLS), type=one_of(*SHELLS),
                        help="the shell that you type in")


def run(args, make_session, config_path) -> int:
    """Print the script; no configuration is needed."""
    from . import _completion
    print(_completion.script(args.shell), end="")
    return OK
