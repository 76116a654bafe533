"""What every answer tells the browser: load nothing from elsewhere, keep nothing, guess nothing."""

from fastapi import Response

# Pages load what this service sends, and nothing else; Plotly sets styles from its script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def with_security_headers(response: Response) -> Response:
    """The response, with those headers that it has no value of its own for."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
