"""Proxy settings: where they are read from, and which hosts they exclude."""

import msgspec
import pytest

from probes.platforms.proxies import (
    applies,
    or_else,
    proxy_from_environment,
    proxy_from_registry,
    run_script,
)
from probes.platforms.system_facts import (
    ProxySetting,
)

# "Automatically detect settings", as Windows has it unless it is switched off.
DISCOVERING = {"DefaultConnectionSettings": bytes([70, 0, 0, 0, 1, 0, 0, 0, 9, 0])}


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
    assert proxy_from_registry(DISCOVERING).kind == "wpad"
    assert (
        proxy_from_registry({"DefaultConnectionSettings": b"", "ProxyEnable": "x"}).kind
        == "none"
    )


@pytest.mark.parametrize(
    ("server", "ways"),
    [
        ("proxy.example", ["http://proxy.example"]),
        ("a:8080;b:8081", ["http://a:8080", "http://b:8081"]),
        ("HTTPS=b:81 http=a:80", ["http://b:81"]),
        ("http://a:80/", ["http://a:80"]),
        ("socks=s:1080", ["socks5://s:1080"]),
        ("http=a:80", [""]),
        ("://", [""]),
    ],
)
def test_every_list_of_proxies_that_windows_allows_is_read(
    server: str, ways: list[str]
) -> None:
    setting = proxy_from_registry({"ProxyEnable": 1, "ProxyServer": server})
    assert list(setting.ways) == ways


def test_if_a_script_cannot_be_run_what_is_set_besides_is_used() -> None:
    manual = {"ProxyEnable": 1, "ProxyServer": "a:1", "ProxyOverride": "*.council.uk"}
    script = {"AutoConfigURL": "http://council.example/proxy.pac"}
    by_machine = ProxySetting("manual", "http://machine:1")

    def used(values: dict[str, object], **runs: tuple[str, ...]) -> ProxySetting:
        """What is used if only the scripts in `runs` can be run."""
        setting = or_else(proxy_from_registry(values), by_machine)
        return run_script(
            setting, lambda script: runs.get("pac" if script else "wpad", "is lost")
        )

    by_hand = ProxySetting("manual", "http://a:1", ("*.council.uk",))
    assert used({**manual, **DISCOVERING}) == by_hand
    # A service has no proxy of its own, but Windows looks for a script.
    assert used(DISCOVERING) == by_machine
    assert used({**manual, **script, **DISCOVERING}) == msgspec.structs.replace(
        by_hand, note="the proxy script http://council.example/proxy.pac is lost"
    )
    found = used({**manual, **script, **DISCOVERING}, wpad=("http://w:1", ""))
    assert (found.kind, found.ways) == ("wpad", ("http://w:1", ""))
    # A script that wants the direct way is obeyed.
    direct = used({**manual, **script}, pac=())
    assert (direct.kind, direct.ways, direct.besides) == ("pac", ("",), None)
    alone = run_script(proxy_from_registry(script), lambda _: "is lost")
    assert (alone.kind, alone.ways, alone.note) == ("pac", ("",), "is lost")


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
