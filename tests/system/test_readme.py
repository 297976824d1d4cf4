# SPDX-License-Identifier: BSD-2-Clause
"""The commands of the README, run as printed."""

import re
import subprocess

from support.eventually import eventually
from support.places import SOURCE
from support.processes import all_processes

README = (SOURCE / "README.md").read_text()

# A host without Postern: nothing below /usr/local, no user of that name. Gone with the last process.
BEFORE = """
set -e
mkdir /run/readme && cp -a /etc /run/readme/etc && mount --bind /run/readme/etc /etc
mount -t tmpfs tmpfs /usr/local
userdel postern
export PATH=/usr/local/sbin:/usr/local/bin:$PATH
"""


def commands(section):
    """The indented lines of a section."""
    text = re.search(rf"^## {section}\n(.*?)^## ", README, re.MULTILINE | re.DOTALL).group(1)
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def test_the_commands_by_hand_install_start_and_log_in():
    lines = commands("By hand")
    assert lines[0].startswith("cmake --install") and lines[-1].startswith("kill")
    typed = "\n".join(f"printf 'a password\\n' | {{ {line}; }}" for line in lines)
    done = subprocess.run(["unshare", "--mount", "bash", "-c", f"{BEFORE}\n{typed}"], cwd=SOURCE, timeout=120,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'OK "Success."' in done.stdout
    eventually(lambda: not [process for process in all_processes() if is_postern(process)], "the daemon has ended")


def is_postern(process):
    try:
        return process.is_alive and process.name.startswith("postern")
    except OSError:
        return False


def test_the_two_commands_exist():
    for command in commands("Two commands"):
        done = subprocess.run(["bash", "-n", SOURCE / command], capture_output=True, timeout=20, check=False)
        assert done.returncode == 0
