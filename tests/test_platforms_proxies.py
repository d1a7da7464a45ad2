"""Proxy settings: where they are read from, and which hosts they exclude."""

import pytest

from probes.platforms.proxies import (
    applies,
    proxy_from_environment,
    proxy_from_registry,
)
from probes.platforms.system_facts import (
    ProxySetting,
)


def test_proxies_are_read_from_the_environment_and_the_registry() -> None:
    environment = {
        "https_proxy": "proxy.example:3128",
        "NO_PROXY": "localhost,.council.uk",
    }
    setting = proxy_from_environment(environment)
    assert (setting.kind, setting.url) == ("environment", "http://proxy.example:3128")
    assert proxy_from_environment({}) == ProxySetting("none")
    assert proxy_from_environment({"HTTPS_PROXY": "://"}).kind == "none"
    manual = {
        "ProxyEnable": 1,
        "ProxyServer": "http=a:80;https=b:81",
        "ProxyOverride": "<local>",
    }
    assert proxy_from_registry(manual) == ProxySetting(
        "manual", "http://b:81", ("<local>",)
    )
    assert proxy_from_registry({**manual, "ProxyEnable": 0}) == ProxySetting("none")
    assert proxy_from_registry({**manual, "AutoConfigURL": "http://x/p"}).kind == "pac"
    flags = {"DefaultConnectionSettings": bytes([70, 0, 0, 0, 1, 0, 0, 0, 9, 0])}
    assert proxy_from_registry(flags).kind == "wpad"
    assert (
        proxy_from_registry({"DefaultConnectionSettings": b"", "ProxyEnable": "x"}).kind
        == "none"
    )


@pytest.mark.parametrize(
    ("exceptions", "host", "through"),
    [
        ((), "teams.microsoft.com", True),
        ((), "localhost", False),
        ((), "127.0.0.1", False),
        (("<local>",), "intranet", False),
        (("*.council.uk",), "a.council.uk", False),
        ((".council.uk",), "a.council.uk", False),
        (("council.uk",), "a.council.uk", False),
        (("council.uk",), "othercouncil.uk", True),
        (("169.254/16",), "169.254.1.1", False),
        (("10.0.0.0/8",), "10.1.2.3", False),
        (("10.0.0.0/8", "nonsense/x"), "11.1.2.3", True),
        (("*",), "anything.example", False),
    ],
)
def test_a_proxy_does_not_apply_to_its_exceptions(
    exceptions: tuple[str, ...], host: str, through: bool
) -> None:
    assert applies(ProxySetting("manual", "http://p:1", exceptions), host) is through
    assert not applies(ProxySetting("pac", "", exceptions), host)
