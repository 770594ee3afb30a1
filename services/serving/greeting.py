"""What `serve` says once it serves."""

from __future__ import annotations

from django.utils.translation import gettext
from rich.cells import cell_len, set_cell_size


def greeting(
    url: str, password: str | None, besides: str | None = None, *, has_chat: bool = True
) -> str:
    """Where the site's pages are, in lines."""
    lines = [gettext("The site is ready at {url}").format(url=url)]
    pages = {gettext("services"): "services/NAME/"} if has_chat else {}
    pages |= {
        gettext("console"): "console",
        gettext("traces"): "traces/",
        gettext("admin"): "admin/",
        gettext("REST API"): "docs",
    }
    widest = max(map(cell_len, pages))
    for name, path in pages.items():
        lines.append(f"  {set_cell_size(name, widest)}  {url}{path}")
    if password is not None:
        sentence = gettext("Log in as 'admin' with the password {password} (shown only this once)")
        lines.append(f"  {sentence.format(password=password)}")
    if besides is not None:
        lines.append(f"  {besides}")
    return "\n".join(lines)


def proxy_greeting(address: str) -> str:
    """Where the services' sockets are."""
    return gettext("The proxy is ready at {address}").format(address=f"{address}services/NAME/")
