# SPDX-License-Identifier: BSD-2-Clause
"""docs/differences.md: every deliberate difference from saslauthd, as rows that tests read."""

import re
from dataclasses import dataclass

from support.places import DIFFERENCES

KINDS = {
    "text": "another text behind NO",
    "outage": "NO became the empty reply, because the backend could not be asked",
    "defect": "OK became NO or NO became OK: the incumbent's answer is a defect",
    "exit status": "a command line ends with another exit status",
    "message": "a command line ends with another message",
    "behaviour": "processes, files, logs, time",
}


@dataclass(frozen=True)
class Row:
    section: str
    case: str  # a case's name, or a pattern of names
    saslauthd: str
    postern: str
    serves: str
    kind: str
    test: str


def read(path=DIFFERENCES):
    """All rows; one for each name in the first column."""
    rows, section = [], ""
    for line in path.read_text().splitlines():
        if line.startswith("## "):
            section = line[3:].strip()
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) != 6 or cells[0] == "Case" or set(cells[0]) <= {"-", ":"}:
            continue
        names = re.findall(r"`([^`]+)`", cells[0])
        assert names, f"{path.name}: no name in the first column: {line}"
        rest = [cell.strip("`") for cell in cells[1:]]
        rows += [Row(section, name, *rest) for name in names]
    return rows


def of_section(section, path=DIFFERENCES):
    return [row for row in read(path) if row.section == section]
