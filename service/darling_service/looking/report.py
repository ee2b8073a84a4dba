"""The page of `darling-reward report`."""

import time

from darling_service import __version__
from darling_service.http.console import FOLDER
from darling_service.looking.page import page
from darling_service.looking.run import ReportedRun

ENTRY = "report.js"
"""The console's module that makes the page."""


def written(run: ReportedRun, source: str) -> str:
    """The HTML of the report. `source`: where the run comes from, in a sentence."""
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime())
    data = {
        "name": run.name,
        "source": source,
        "made": f"{made} by darling-reward {__version__}",
        "curve": {"steps": run.curve["steps"], "series": run.curve["series"]},
        "groups": run.groups,
    }
    return page(FOLDER, ENTRY, f"{run.name} · Darling Reward", data)
