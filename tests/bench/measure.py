# SPDX-License-Identifier: BSD-2-Clause
"""Measures scenarios, and says what came of it. Started by tests/bench/run, inside tests/system/namespace."""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import growth  # noqa: E402
from plot import draw  # noqa: E402
from report import curve_table, curves, rows, table  # noqa: E402
from scenarios import SCENARIOS  # noqa: E402
from stage import Stage, WrongAnswer  # noqa: E402
from support.places import BUILD  # noqa: E402
from support.processes import become_subreaper  # noqa: E402

WARM_UP_SECONDS = 0.2


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--results", type=Path, required=True, help="a directory")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    given = parser.parse_args()
    given.scenarios = given.scenarios or [
        name for name, function in SCENARIOS.items() if function.__module__ != growth.__name__]
    return given


def play(name, given):
    """The figures of a scenario, measured."""
    print(f"== {name}", flush=True)
    with Stage(min(WARM_UP_SECONDS, given.seconds)) as stage:
        figures = SCENARIOS[name](stage)
        for figure in figures:
            figure.warm_up()
        stage.seconds = given.seconds
        for number in range(given.rounds):
            print(f"   round {number + 1} of {given.rounds}", flush=True)
            for figure in figures:
                figure.measure(number)
    return figures


def machine():
    model = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    return {"processor": model[0] if model else platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "kernel": platform.release()}


def show(results, about):
    print(f"\n{about['processor']}, {about['cores']} cores, Linux {about['kernel']}\n")
    if rows(results):
        print(table(results))
    for curve in curves(results):
        print(curve_table(curve))


def write(results, given, about):
    told = {"machine": about, "build": str(BUILD), "rounds": given.rounds, "seconds": given.seconds,
            "rows": [{"scenario": name, **figure.as_json()} for name, figures in results.items()
                     for figure in figures if figure in rows(results)],
            "curves": [{"scenario": name, **figure.as_json()} for name, figures in results.items()
                       for figure in figures if figure in curves(results)]}
    (given.results / "results.json").write_text(json.dumps(told, indent=1) + "\n")
    for figures in (figures for name, figures in results.items() if name == "load"):
        draw(figures[0], given.results / "latency.svg")


def main():
    given = arguments()
    become_subreaper()
    results = {}
    try:
        for name in given.scenarios:
            results[name] = play(name, given)
    except WrongAnswer as problem:
        sys.exit(f"tests/bench/run: {name}: {problem}")
    show(results, machine())
    write(results, given, machine())


main()
