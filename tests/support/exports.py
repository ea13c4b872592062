"""Exports as their owner opens them: members by name, CSV as rows, and accounts that have a row
of everything."""
from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path

from tests.support.account import everything
from tests.support.product import KINDS


def account(bench, **user) -> None:
    """The accounts no. 7 and 8 with a row in each table that is about users; neither has asked for
    an export, and nothing of theirs is waiting."""
    everything(bench, "jo", each=1, **{"id": 7, **user})
    everything(bench, "neighbour", each=1, id=8)
    bench.db.execute("DELETE FROM {export_requests}")
    bench.db.execute("UPDATE {notifications} SET status = 'sent'")


def ask(bench, user_id: int = 7, **values) -> int:
    """A request, made five minutes ago; its id."""
    return bench.table("export_requests",
                       [{"user_id": user_id, "requested_at": bench.ago(minutes=5), **values}])[0]


def zips(bench) -> list[Path]:
    """The files in the folder, hidden ones left out."""
    return sorted(path for path in (bench.folder / "exports").glob("*")
                  if not path.name.startswith("."))


def members(path) -> dict[str, bytes]:
    """{name: content} of a whole zip whose every byte was checked."""
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        return {info.filename: file.read(info) for info in file.infolist()}


def rows(content: dict, name: str) -> list[dict]:
    """A kind's rows by its JSON."""
    return json.loads(content[f"json/{name}.json"])


def table(content: dict, name: str) -> list[list[str]]:
    """A kind's rows by its CSV, the head left out."""
    return list(csv.reader(io.StringIO(content[f"csv/{name}.csv"].decode("utf-8-sig"),
                                       newline="")))[1:]


def check(path) -> dict[str, int]:
    """The zip is whole, and its README says what is in it: {kind: how many rows}."""
    content = members(path)
    assert {*content} == {"README.txt", *(f"{form}/{kind.name}.{form}" for kind in KINDS
                                          for form in ("json", "csv"))}
    told = {kind: int(number.replace(",", "")) for number, kind in
            re.findall(r"^ +([\d,]+)  (\w+)", content["README.txt"].decode(), re.MULTILINE)}
    assert told == {kind.name: len(rows(content, kind.name)) for kind in KINDS}
    assert told == {kind.name: len(table(content, kind.name)) for kind in KINDS}
    return told


def token(mail) -> str:
    """The token in the link of a notice."""
    return re.search(r"\?t=([\w-]+)", mail.text)[1]
