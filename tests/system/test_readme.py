# SPDX-License-Identifier: BSD-2-Clause
"""The commands of the README, run as printed, and the example of backends/README.md."""

import re
import subprocess

import pytest

from support.eventually import eventually
from support.places import BUILD, POSTERND, SOURCE
from support.processes import all_processes

README = (SOURCE / "README.md").read_text()

# A host without Postern: nothing below /usr/local, no user of that name. Gone with the last process.
BEFORE = """
set -e
etc=$(mktemp -d /run/readme.XXXXXX)
cp -a /etc/. "$etc"
mount --bind "$etc" /etc
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
    assert '"verdict":"accepted"' in done.stdout
    assert "alice@example.org: deleted from /etc/sasldb2" in done.stdout
    eventually(lambda: not [process for process in all_processes() if is_postern(process)], "the daemon has ended")


def is_postern(process):
    try:
        return process.is_alive and process.name.startswith("postern")
    except OSError:
        return False


@pytest.mark.parametrize("section", ["Directories", "Without libsasl2"])
def test_the_files_as_printed_pass_the_check(section, tmp_path):
    example = re.search(rf"^## {section}\n.*?^```ini\n(.*?)^```", README, re.MULTILINE | re.DOTALL).group(1)
    file = tmp_path / "postern.conf"
    file.write_text(example)
    done = subprocess.run([POSTERND, "--check", "--config", file], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, f"{file}: OK\n")


def test_the_commands_with_a_file_check_it_and_start():
    """As printed, with the file as printed, on the host that the first test has left."""
    example = re.search(r"^## With a file\n.*?^```ini\n(.*?)^```", README, re.MULTILINE | re.DOTALL).group(1)
    lines = commands("With a file")
    assert lines[-2:] == ["posternd --check", "posternd"]
    typed = "\n".join([BEFORE, "cmake --install build/release", "mkdir /etc/postern",
                       f"cat >/etc/postern/postern.conf <<'END'\n{example}END", *lines,
                       "postern test -u nobody -p x -f /var/run/saslauthd/mux || echo ended with $?",
                       "pkill -x posternd", "while pgrep -x posternd; do sleep 0.05; done"])
    own_processes = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run([*own_processes, "bash", "-c", typed], cwd=SOURCE, timeout=120,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/etc/postern/postern.conf: OK\n" in done.stderr
    assert "ended with 75" in done.stdout, "there is no database yet: an outage, from a daemon that serves"


def test_the_commands_without_libsasl2_log_in():
    """As printed, with the file as printed."""
    example = re.search(r"^## Without libsasl2\n.*?^```ini\n(.*?)^```", README, re.MULTILINE | re.DOTALL).group(1)
    lines = [line for line in commands("Without libsasl2") if line.startswith("postern test ")]
    assert len(lines) == 2
    with_password = [f"printf 'a password\\n' | {line}" for line in ["postern passwd alice@example.org", *lines]]
    wrong = f"printf 'wrong\\n' | {lines[0]} || echo ended with $?"
    typed = "\n".join([BEFORE, "cmake --install build/release", "mkdir /etc/postern",
                       f"cat >/etc/postern/postern.conf <<'END'\n{example}END", with_password[0], "posternd",
                       *with_password[1:], wrong, "pkill -x posternd", "while pgrep -x posternd; do sleep 0.05; done"])
    own_processes = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run([*own_processes, "bash", "-c", typed], cwd=SOURCE, timeout=120,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('0: OK "Success."\n') == 2, done.stdout + done.stderr
    assert "ended with 255" in done.stdout


def test_the_two_commands_exist():
    for command in commands("Two commands"):
        done = subprocess.run(["bash", "-n", SOURCE / command], capture_output=True, timeout=20, check=False)
        assert done.returncode == 0


def test_the_backend_type_that_is_shown_as_an_example_compiles_and_its_row_fits(tmp_path):
    page = (SOURCE / "backends/README.md").read_text()
    source = re.search(r"^```cpp\n(.*?)^```$", page, re.MULTILINE | re.DOTALL).group(1)
    options, row = re.search(r"^    (constexpr std::array family_options\{.*?^    \};)\n\n    (BackendType\{.*?\},)$", page,
                             re.MULTILINE | re.DOTALL).groups()
    (tmp_path / "family.cpp").write_text(source)
    (tmp_path / "row.cpp").write_text('#include "backends/backend_types.hpp"\n#include <array>\nnamespace postern {\n'
                                      f"{options}\nconstexpr std::array types{{{row}}};\n"
                                      "static_assert(types[0].options.size() == 1);\n}\n")
    for file in ("family.cpp", "row.cpp"):
        done = subprocess.run(["g++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I", SOURCE, "-I", BUILD,
                               tmp_path / file], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
