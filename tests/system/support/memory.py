# SPDX-License-Identifier: BSD-2-Clause
"""What stands in a process's memory, as root can read it."""


def found_in_memory(process, needles, also_undumped=False):
    """Those of the needles that its writable memory holds, as far as it could get into a core file; or all of it."""
    found = set()
    with open(process.directory / "smaps", encoding="ascii") as smaps, open(process.directory / "mem", "rb") as memory:
        for line in smaps:
            words = line.split()
            if not words[0].endswith(":"):
                begin, end = (int(number, 16) for number in words[0].split("-"))
                is_writable = "w" in words[1]
            elif words[0] == "VmFlags:" and is_writable and (also_undumped or "dd" not in words):
                memory.seek(begin)
                text = memory.read(end - begin)
                found |= {needle for needle in needles if needle in text}
    return found


def resident_bytes(process):
    return int(process.status("VmRSS")[0]) * 1024
