"""The pages and their files, as parts of the web application."""

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles

from case_monitor.dashboard.alerts import pages as alerts_pages
from case_monitor.dashboard.api import api
from case_monitor.dashboard.api_alerts import api_alerts
from case_monitor.dashboard.api_records import api_records
from case_monitor.dashboard.classes import pages as classes_pages
from case_monitor.dashboard.compare_page import pages as compare_pages
from case_monitor.dashboard.confusion import pages as confusion_pages
from case_monitor.dashboard.evaluation import pages as evaluation_pages
from case_monitor.dashboard.gallery import pages as gallery_pages
from case_monitor.dashboard.gallery_pictures import pictures
from case_monitor.dashboard.method_styles import method_styles
from case_monitor.dashboard.model_page import pages as model_pages
from case_monitor.dashboard.overview import pages as overview_pages
from case_monitor.dashboard.page_cache import PageCache
from case_monitor.dashboard.plotly_script import plotly_script
from case_monitor.dashboard.seeds_page import pages as seeds_pages

_STATIC = Path(__file__).parent / "static"


class _Assets(StaticFiles):
    """Scripts and styles. Browsers keep them, and ask whether they changed: scripts import each other by bare names."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def add_dashboard(app: FastAPI) -> None:
    """Add every page. `app.state` holds `settings` and `engine`."""
    app.state.pages = PageCache()
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
    for router in (api, api_records, api_alerts):
        app.include_router(router)
    app.mount("/static", _Assets(directory=_STATIC), name="static")
