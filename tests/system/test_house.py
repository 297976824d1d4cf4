# SPDX-License-Identifier: BSD-2-Clause
"""The house the system tests live in: nothing of theirs reaches the host, and nothing is skipped."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support import differences
from support.conformance import EVERY_CASE
from support.places import HOST_NAME, SOURCE
from support.processes import Process, all_processes

NAMESPACE = SOURCE / "tests/system/namespace"
OWN = ["/etc", "/var", "/run", "/tmp", "/dev"]


def test_it_is_a_world_of_its_own():
    assert HOST_NAME == "mail.postern.test"
    assert str(NAMESPACE.name) in Process(1).command_line
    assert [directory for directory in OWN if not os.path.ismount(directory)] == []
    assert [name for _, name in socket.if_nameindex()] == ["lo"]


def test_nothing_leaves_it():
    """In a world within this one, which stands for the host: files, a process that detached, the exit status."""
    stay = ["postern-was-here-" + str(os.getpid()), "987654"]
    script = f"""
        for directory in {' '.join(OWN)}; do touch $directory/{stay[0]} || exit 1; done
        setsid sleep {stay[1]} &
        hostname nowhere
        exit 7
    """
    assert subprocess.run([NAMESPACE, "sh", "-c", script], timeout=60).returncode == 7
    assert [directory for directory in OWN if (Path(directory) / stay[0]).exists()] == []
    assert [process for process in all_processes() if process.is_alive and stay[1] in process.command_line] == []
    assert os.uname().nodename == HOST_NAME


def test_the_source_tree_is_the_hosts_own(tmp_path):
    """Also when it lies below a directory that the namespace hides."""
    copy = tmp_path / "tests/system/namespace"
    copy.parent.mkdir(parents=True)
    shutil.copy(NAMESPACE, copy)
    subprocess.run([copy, "sh", "-c", 'pwd >built'], check=True, timeout=60)
    assert (tmp_path / "built").read_text().strip() == str(tmp_path)


SKIPS = {
    "a skip": "import pytest\ndef test_it(): pytest.skip('no time')",
    "a mark": "import pytest\n@pytest.mark.skip\ndef test_it(): pass",
    "a skip in set-up": "import pytest\n@pytest.fixture\ndef f(): pytest.skip('x')\ndef test_it(f): pass",
    "a whole file": "import pytest\npytest.importorskip('nosuchmodule')\ndef test_it(): pass",
    "an expected failure": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert 0",
    "an unexpected success": "import pytest\n@pytest.mark.xfail\ndef test_it(): pass",
    "no parameters": "import pytest\n@pytest.mark.parametrize('x', [])\ndef test_it(x): pass",
}


@pytest.mark.parametrize("text", SKIPS.values(), ids=SKIPS)
def test_a_skip_is_a_failure_under_ci(text, tmp_path):
    (tmp_path / "test_it.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def status(**environment):
        return subprocess.run([sys.executable, "-m", "pytest", "-p", "support.no_skips", "-p", "no:cacheprovider", tmp_path],
                              env={**os.environ, "PYTHONPATH": str(SOURCE / "tests/system"), **environment},
                              capture_output=True, timeout=60).returncode

    assert status(CI="true") in (1, 2)
    assert status(CI="") in (0, 5)


def test_the_table_of_differences_is_whole():
    """Each row has a promise, a known kind, and a test that exists."""
    tests = "\n".join(path.read_text() for path in (SOURCE / "tests/system").glob("test_*.py"))
    rows = differences.read()
    assert rows
    for row in rows:
        assert row.kind in differences.KINDS, row
        assert "promise " in row.serves, row
        assert f"def {row.test}(" in tests, row
    names = [(row.section, row.case, row.saslauthd if row.case == EVERY_CASE else "") for row in rows]
    assert len(set(names)) == len(rows), "a name stands twice"
