# SPDX-License-Identifier: BSD-2-Clause
"""Latency against load, drawn by gnuplot as SVG."""

import subprocess

SCRIPT = """
set terminal svg size 800,500 font "sans-serif,13" background "white"
set output OUTPUT
set title "latency against load, 1 to 128 clients"
set xlabel "logins per second"
set ylabel "p99 of the latency, ms"
set logscale y
set format x "%.0f"
set xrange [0:*]
set grid
set key top left
plot """


def draw(curve, file):
    """A line for each contestant: a point for each number of clients, at what was reached with them."""
    blocks = [f"$data{index} << END\n{points(curve, name)}END\n" for index, name in enumerate(curve.values)]
    lines = ", ".join(f'$data{index} using 1:2 with linespoints linewidth 2 title "{name}"'
                      for index, name in enumerate(curve.values))
    script = "".join(blocks) + SCRIPT.replace("OUTPUT", f'"{file}"') + lines + "\n"
    subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)


def points(curve, name):
    return "".join(f"{curve.median(name, x, 'logins/s')} {curve.median(name, x, 'p99 ms')}\n" for x in curve.points)
