# SPDX-License-Identifier: BSD-2-Clause
"""A pytest plug-in: under CI=true, a test that was skipped or expected to fail has failed."""

import os

import pytest


def _refuse(report):
    if os.environ.get("CI") == "true" and (report.skipped or hasattr(report, "wasxfail")):
        report.longrepr = f"nothing may be skipped under CI=true: {report.longrepr or report.wasxfail}"
        report.__dict__.pop("wasxfail", None)
        report.outcome = "failed"


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport():
    outcome = yield
    _refuse(outcome.get_result())


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_make_collect_report():
    outcome = yield
    _refuse(outcome.get_result())
