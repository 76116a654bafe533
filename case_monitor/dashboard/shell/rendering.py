"""From a page's context to HTML: one environment that escapes everything, and words for numbers."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlencode

from fastapi import Request, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import case_monitor
from case_monitor.dashboard.parts.interval_mark import interval_mark
from case_monitor.dashboard.parts.metric_words import direction
from case_monitor.dashboard.parts.sparkline import sparkline
from case_monitor.dashboard.shell.plotly_script import PLOTLY_PATH
from case_monitor.dashboard.shell.records import Record
from case_monitor.dashboard.shell.resources import resources_of
from case_monitor.domain.methods import method_title
from case_monitor.domain.p_values import p_text
from case_monitor.store.read.overview import count_open_alerts

NO_VALUE = "–"


def page(request: Request, template: str, asked: Record | None, read: Callable[[], Record]) -> Response:
    """A page that depends on its path, on what was asked for, and on the database only.

    Args:
        request: what came.
        template: in `templates/`.
        asked: what was read of the query, a frozen record; None: the path says it all.
        read: gives the page's context, a dataclass whose fields are the template's variables.
    """
    held = resources_of(request)
    return held.pages.answer(
        request, held.engine, asked, "text/html", lambda: render(request, template, read()).encode()
    )


def render(request: Request, template: str, context: Record, *, counting: bool = True) -> str:
    """The template filled in. It computes nothing: what it shows is in the context.

    Args:
        request: what was asked for.
        template: in `templates/`.
        context: a dataclass whose fields are the template's variables.
        counting: show the number of open alerts; not where there may be no database, or no right to read it.
    """
    values = {name: getattr(context, name) for name in context.__dataclass_fields__}
    held = resources_of(request)
    return _environment.get_template(template).render(
        values,
        root=root_of(request),
        here=request.url.path,
        open_alerts_total=count_open_alerts(held.engine) if counting else None,
        has_tokens=bool(held.settings.read_token or held.settings.write_token),
        has_users=held.settings.trusted_proxy is not None,
    )


def root_of(request: Request) -> str:
    """The path in front of all of ours; a mounted application has another one."""
    root: str = request.scope.get("app_root_path", request.scope.get("root_path", ""))
    return root


def address(path: str, **query: object) -> str:
    """A link within the dashboard: what is None or empty is left out of the query.

    >>> address("/model", name="a/b & c", page=None)
    '/model?name=a%2Fb+%26+c'
    """
    given = {key: value for key, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def percent(value: float | None, digits: int = 1) -> str:
    """A share.

    >>> percent(0.1234), percent(None)
    ('12.3%', '–')
    """
    return NO_VALUE if value is None else f"{100 * value:.{digits}f}%"


def number(value: float | None, digits: int = 3) -> str:
    """A figure.

    >>> number(-0.12345), number(None)
    ('−0.123', '–')
    """
    return NO_VALUE if value is None else f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def signed(value: float | None, digits: int = 3) -> str:
    """A difference.

    >>> signed(0.5), signed(-0.5, 1)
    ('+0.500', '−0.5')
    """
    return NO_VALUE if value is None else f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def p_value(value: float | None) -> str:
    """A p value, as everywhere else."""
    return NO_VALUE if value is None else p_text(value)


def moment(value: datetime | None) -> Markup | str:
    """A time: in UTC, until a script shows it in the viewer's zone."""
    if value is None:
        return NO_VALUE
    return Markup('<time datetime="{}">{} UTC</time>').format(f"{value:%Y-%m-%dT%H:%M:%SZ}", f"{value:%Y-%m-%d %H:%M}")


def _environment_for_pages() -> Environment:
    environment = Environment(
        loader=PackageLoader("case_monitor.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {
        "address": address,
        "direction": direction,
        "plotly_path": PLOTLY_PATH,
        "static_version": case_monitor.__version__,
        "sparkline": sparkline,
        "interval_mark": interval_mark,
    }
    environment.filters |= {
        "percent": percent,
        "number": number,
        "signed": signed,
        "p_value": p_value,
        "moment": moment,
        "method": method_title,
    }
    return environment


_environment = _environment_for_pages()
