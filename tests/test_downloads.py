"""What is fetched from elsewhere: where a server may send Towpath, and where not."""

from __future__ import annotations

import pytest
from faulty_http import FaultyServer, Request

from alerts.download import DownloadFailed, DownloadLimits, download, leads_inside

LIMITS = DownloadLimits("calendar", 1000, 2.0)


@pytest.mark.parametrize(
    ("source", "target", "inside"),
    [
        ("https://8.8.8.8/a", "https://10.0.0.1/", True),
        ("https://8.8.8.8/a", "http://169.254.169.254/latest", True),
        ("https://8.8.8.8/a", "https://[::1]:8086/", True),
        ("https://8.8.8.8/a", "https://[::ffff:10.0.0.1]/", True),
        # Other ways to write 127.0.0.1.
        ("https://8.8.8.8/a", "http://2130706433/", True),
        ("https://8.8.8.8/a", "http://localhost/", True),
        # Behind a proxy names of the internet need not be known.
        ("https://cdn.invalid/a", "https://10.0.0.1/", True),
        ("https://8.8.8.8/a", "https://9.9.9.9/", False),
        ("https://8.8.8.8/a", "https://cdn.invalid/", False),
        # The council's own servers may name each other.
        ("https://10.0.0.1/a", "https://10.0.0.2/", False),
        ("https://10.0.0.1/a", "https://8.8.8.8/", False),
        ("http://localhost/a", "http://localhost:81/b", False),
    ],
)
async def test_only_an_internal_server_may_name_an_internal_address(
    source: str, target: str, inside: bool
) -> None:
    assert await leads_inside(source, target) is inside


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://127.0.0.1:8086/secret", "8.8.8.8: sends from the internet to an in"),
        ("http://[::1", "8.8.8.8: sends to a damaged address"),
        ("http://9.9.9.9:99999/", "9.9.9.9:99999: there is no such port"),
        ("file:///etc/passwd", "8.8.8.8: sends to an address without https"),
    ],
)
async def test_a_redirect_of_the_internet_to_where_nothing_may_be_asked_fails(
    location: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def app(request: Request) -> tuple[int, str]:
        return (302, "") if request.path == "/a" else (200, "secret")

    with FaultyServer(app) as server:
        server.headers["Location"] = location
        # As a proxy it answers for every host.
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(DownloadFailed) as caught:
            await download("http://8.8.8.8/a", {}, LIMITS)
        assert why in str(caught.value)
        assert [request.path for request in server.requests] == ["/a"]
