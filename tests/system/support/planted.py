# SPDX-License-Identifier: BSD-2-Clause
"""A build like the one under test, but for one planted fault: what a comparison that works must catch."""

import re
import shutil
import subprocess

from support.places import BUILD, SOURCE


def plant(directory, backend_type, source, text, replacement):
    """A posternd whose plug-in of that type was built from the same sources, with one piece of one of them replaced.

    The piece must be there exactly once: when the source changes, the fault is to be planted anew.
    """
    return _plant(directory, f"lib/postern/backend_{backend_type}.so", source, text, replacement)


def plant_in_daemon(directory, source, text, replacement):
    """The same, but what has the fault is posternd itself: supervisor, front and worker."""
    return _plant(directory, "sbin/posternd", source, text, replacement)


def _plant(directory, product, source, text, replacement):
    written = (SOURCE / source).read_text()
    assert written.count(text) == 1, f"{text!r} is {written.count(text)} times in {source}"
    changed, object_file = directory / "planted.cpp", directory / "planted.o"
    changed.write_text(written.replace(text, replacement))
    for name in ("sbin", "lib"):
        shutil.copytree(BUILD / name, directory / name, symlinks=True)
    commands = subprocess.run(["ninja", "-C", BUILD, "-t", "commands", product], check=True, capture_output=True,
                              text=True).stdout.splitlines()
    compiling = [line for line in commands if re.search(rf" -c \S*{re.escape(source)}$", line)]
    assert len(compiling) == 1, f"{len(compiling)} commands compile {source}"
    original = re.search(r" -o (\S+)", compiling[0])[1]
    without_dependencies = re.sub(r" -M[FT] \S+| -MD", "", compiling[0])
    _run(re.sub(r" -o \S+ -c \S+$", f" -o {object_file} -c {changed}", without_dependencies))
    linking = re.sub(r" -o \S+", f" -o {directory / product}", commands[-1])
    if original in linking:
        linking = linking.replace(original, str(object_file))
    else:  # it comes from a library, whose own copy is then not needed
        linking = linking.replace(f" -o {directory / product}", f" -o {directory / product} {object_file}")
    _run(linking)
    return directory / "sbin/posternd"


def _run(command):
    done = subprocess.run(command, shell=True, cwd=BUILD, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
