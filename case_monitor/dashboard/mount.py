"""The pages and their files, as parts of the web application."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles

from case_monitor.dashboard.api.alerts import alerts
from case_monitor.dashboard.api.files import files
from case_monitor.dashboard.api.lists import lists
from case_monitor.dashboard.api.models import models
from case_monitor.dashboard.api.records import records
from case_monitor.dashboard.pages.alerts.page import pages as alerts_pages
from case_monitor.dashboard.pages.classes.page import pages as classes_pages
from case_monitor.dashboard.pages.compare.page import pages as compare_pages
from case_monitor.dashboard.pages.confusion.page import pages as confusion_pages
from case_monitor.dashboard.pages.evaluation.page import pages as evaluation_pages
from case_monitor.dashboard.pages.gallery.page import pages as gallery_pages
from case_monitor.dashboard.pages.gallery.pictures import pictures
from case_monitor.dashboard.pages.model.page import pages as model_pages
from case_monitor.dashboard.pages.overview.page import pages as overview_pages
from case_monitor.dashboard.pages.seeds.page import pages as seeds_pages
from case_monitor.dashboard.shell.method_styles import method_styles
from case_monitor.dashboard.shell.plotly_script import plotly_script

_STATIC = Path(__file__).parent / "static"


class _Assets(StaticFiles):
    """Scripts and styles. Browsers keep them, and ask whether they changed: scripts import each other by bare names."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def add_dashboard(app: FastAPI) -> None:
    """Add every page. The application holds `Resources`."""
    routers = (
        overview_pages,
        model_pages,
        compare_pages,
        seeds_pages,
        evaluation_pages,
        classes_pages,
        confusion_pages,
        gallery_pages,
        pictures,
        alerts_pages,
        plotly_script,
        method_styles,
    )
    for router in routers:
        app.include_router(router, include_in_schema=False)
    for router in (models, lists, files, records, alerts):
        app.include_router(router)
    app.mount("/static", _Assets(directory=_STATIC), name="static")
