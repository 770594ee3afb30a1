"""The pages of traces: what they are made of."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.test import AsyncClient

from myagent_site.trace_texts import TEXTS
from tests.runners import ROOT

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    "address", ["/traces", "/traces/", "/traces/1/", "/traces/1", "/traces/compare/?a=1"]
)
async def test_no_page_holds_a_script_or_style_of_their_own(address: str) -> None:
    answer = await AsyncClient(headers={"Host": "127.0.0.1"}).get(address)
    text = answer.content.decode()
    assert answer.status_code == 200
    assert "style-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "style=" not in text
    scripts = text.count("<script src=") + text.count('<script type="module" src=')
    assert text.count("<script") == scripts + text.count('type="application/json"')


async def test_an_id_is_only_ever_text() -> None:
    here = AsyncClient(headers={"Host": "127.0.0.1"})
    for address in ("/traces/%3Cscript%3E/", "/traces/compare?a=%3Cscript%3E&b=%3Cscript%3E"):
        answer = await here.get(address)
        assert answer.status_code == 200
        assert "<script>" not in answer.content.decode()


def test_every_text_is_used() -> None:
    folders = ((settings.STATIC_DIR / "js", "*.js"), (ROOT / "templates", "*.html"))
    everything = "\n".join(
        path.read_text(encoding="utf-8") for folder, kind in folders for path in folder.rglob(kind)
    )
    built = ("status_", "theme_", "kind_", "differs_", "feedback_")
    unused = [
        name
        for name in TEXTS
        if f'"{name}"' not in everything
        and f"text.{name} " not in everything
        and not name.startswith(built)
    ]
    assert unused == []
