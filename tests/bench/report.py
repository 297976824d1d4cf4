# SPDX-License-Identifier: BSD-2-Clause
"""What came of it: the table for people, one line for each promise, and the curves."""

from figures import OURS


def table(results):
    """Of the rows of all scenarios; `results` are those by scenario."""
    lines = [("SCENARIO", "UNIT", "POSTERN", "AGAINST", "", "RATIO", "SPREAD", "TARGET", "MET")]
    for row in rows(results):
        for number, target in enumerate(row.targets):
            low, high = row.spread(target)
            lines.append((*((row.what, row.unit, number_text(row.median(OURS))) if number == 0 else ("", "", "")),
                          target.against, number_text(row.median(target.against)), f"{row.ratio(target):.2f}",
                          f"{low:.2f} to {high:.2f}", str(target),
                          "yes" if target.is_met_by(row.ratio(target)) else "NO"))
    return aligned(lines, left={0, 1, 3, 7, 8})


def curve_table(curve):
    """Medians, a line for each x and contestant."""
    names = curve.figure_names()
    lines = [(curve.of.upper(), "", *(name.upper() for name in names))]
    for x in curve.points:
        for contestant in curve.values:
            lines.append((f"{x:,}".replace(",", " ") if contestant == next(iter(curve.values)) else "", contestant,
                          *(number_text(curve.median(contestant, x, name)) for name in names)))
    return f"{curve.what}\n{aligned(lines, left={1})}"


def rows(results):
    return [figure for figures in results.values() for figure in figures if hasattr(figure, "targets")]


def curves(results):
    return [figure for figures in results.values() for figure in figures if not hasattr(figure, "targets")]


def number_text(number):
    """Three digits at least, thousands apart."""
    digits = 0 if abs(number) >= 100 else 1 if abs(number) >= 10 else 2 if abs(number) >= 1 else 3
    return f"{number:,.{digits}f}".replace(",", " ")


def aligned(lines, left):
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "".join("  ".join(cell.ljust(width) if column in left else cell.rjust(width)
                             for column, (cell, width) in enumerate(zip(line, widths))).rstrip() + "\n"
                   for line in lines)
