"""Names of what this program does not do occur nowhere, but for the table of what is refused
(tests/operator/test_refused.py)."""
from __future__ import annotations

import re
import subprocess

from tests.house.source import ROOT, modules
from tests.support.product import NAMES

# `seccomp_sandbox` is an option of a server that the tests start
PATTERNS = r"""
    forecast  outlook  (?<!no-)(?<!seccomp_)sandbox  single_file  shard  misfit  round_trip
    expression_  expressions\.py  orphan_files  spool_suspects  reapply  _command_files
    run.as.cron  crontab\s--verify  archive\s(verify|show)  is_sealed  manifest_sha256
    message_totals  token_nonce  unsubscribe_url  \[columns\]  delete_accounts\]\salso""".split()
NAMED = {"adopt", "move", "stop", "show", "logs", "completion", "bundle"}
HERE = ("tests/house/test_names.py", "tests/operator/test_refused.py")


def found() -> dict[str, list[str]]:
    """{pattern: the files that it occurs in}."""
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split("\n")
    texts = {name: (ROOT / name).read_text(encoding="utf-8", errors="replace")
             for name in files if name and name not in HERE and (ROOT / name).is_file()}
    return {pattern: [name for name, text in texts.items() if re.search(pattern, f"{name}\n{text}")]
            for pattern in PATTERNS}


def test_no_name_of_what_is_gone_occurs():
    assert {pattern: names for pattern, names in found().items() if names} == {}


def test_no_module_command_option_or_table_is_called_so():
    options = re.findall(r"(?m)^#(\w+) =", (ROOT / "config.ini.example").read_text("utf-8"))
    names = {*(part for module in modules() for part in module.split(".")), *options, *NAMES}
    assert len(options) > 80
    assert names & NAMED == set()
