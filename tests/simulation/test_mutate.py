"""The faults that are put into the product on purpose: each fits it as it is, and is noticed."""
from __future__ import annotations

import subprocess

import pytest

from tests.simulation import mutate

pytestmark = pytest.mark.slow
NOTICED_AT_ONCE = "mail-delay-before"


@pytest.mark.parametrize("name", mutate.names())
def test_each_fault_can_be_put_into_a_copy(name, tmp_path):
    # R76
    patch = mutate.PATCHES / f"{name}.patch"
    [changed] = [line[len("+++ b/"):].strip() for line in patch.read_text().splitlines()
                 if line.startswith("+++ b/")]
    copy = tmp_path / changed
    copy.parent.mkdir(parents=True)
    copy.write_bytes((mutate.HOME / changed).read_bytes())
    subprocess.run(["git", "apply", str(patch)], cwd=tmp_path, check=True,
                   env={"PATH": "/usr/bin:/bin", "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})
    assert copy.read_bytes() != (mutate.HOME / changed).read_bytes()
    compile(copy.read_text(), changed, "exec")


def test_a_fault_is_found_and_so_said(tmp_path):
    # R76
    name, _, wrong = mutate.search(NOTICED_AT_ONCE, tmp_path, minutes=2)
    assert name == NOTICED_AT_ONCE
    assert wrong.startswith("Outcomes: "), wrong


def test_what_is_on_record_is_about_faults_that_are_there():
    recorded = [line.partition(":")[0] for line in mutate.FOUND.read_text().splitlines()
                if ": " in line]
    assert recorded
    assert set(recorded) <= set(mutate.names())
