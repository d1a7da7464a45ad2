"""Notifications of pysnmp, which shares no code with net-snmp or Towpath."""

from __future__ import annotations

import pytest
from pysnmp.hlapi.v3arch.asyncio import (
    USM_AUTH_HMAC96_SHA,
    USM_AUTH_HMAC192_SHA256,
    USM_PRIV_CBC56_DES,
    USM_PRIV_CFB128_AES,
    USM_PRIV_CFB256_AES,
    USM_PRIV_CFB256_AES_BLUMENTHAL,
    CommunityData,
    ContextData,
    NotificationType,
    ObjectIdentity,
    SnmpEngine,
    UdpTransportTarget,
    UsmUserData,
    send_notification,
)
from trap_harness import COMMUNITY, RunningReceiver, receiving

PASSWORD, SECRET = "a password of eight", "another secret"
AUTH = {"sha1": USM_AUTH_HMAC96_SHA, "sha256": USM_AUTH_HMAC192_SHA256}
PRIV = {
    ("des", "blumenthal"): USM_PRIV_CBC56_DES,
    ("aes128", "blumenthal"): USM_PRIV_CFB128_AES,
    ("aes256", "blumenthal"): USM_PRIV_CFB256_AES_BLUMENTHAL,
    ("aes256", "cisco"): USM_PRIV_CFB256_AES,
}


async def notify(running: RunningReceiver, auth: object, kind: str) -> str:
    """Send a linkDown; return the error text, or ""."""
    to = ("127.0.0.1", running.receiver.inbox.port)
    engine = SnmpEngine()
    try:
        error, *_ = await send_notification(
            engine,
            auth,
            await UdpTransportTarget.create(to, timeout=3, retries=1),
            ContextData(),
            kind,
            NotificationType(ObjectIdentity("1.3.6.1.6.3.1.1.5.3")),
            lookupMib=False,
        )
        return str(error or "")
    finally:
        engine.close_dispatcher()


@pytest.mark.parametrize(("kind", "model"), [("trap", 0), ("trap", 1), ("inform", 1)])
async def test_notifications_with_a_community_are_accepted(
    kind: str, model: int
) -> None:
    async with receiving(COMMUNITY) as running:
        auth = CommunityData("public", mpModel=model)
        assert await notify(running, auth, kind) == ""
        await running.until({"link_down": 1})


@pytest.mark.parametrize("kind", ["trap", "inform"])
@pytest.mark.parametrize(
    ("auth", "priv", "expansion"),
    [
        ("sha1", "des", "blumenthal"),
        ("sha1", "aes128", "blumenthal"),
        ("sha256", "aes128", "blumenthal"),
        ("sha256", "aes256", "blumenthal"),
        ("sha1", "aes256", "cisco"),
    ],
)
async def test_notifications_of_v3_users_are_accepted(
    kind: str, auth: str, priv: str, expansion: str
) -> None:
    user = {
        "user": "towpath",
        "auth": auth,
        "auth_password": PASSWORD,
        "priv": priv,
        "priv_password": SECRET,
        "key_expansion": expansion,
    }
    async with receiving({"u": user}) as running:
        held = UsmUserData(
            "towpath",
            authKey=PASSWORD,
            privKey=SECRET,
            authProtocol=AUTH[auth],
            privProtocol=PRIV[priv, expansion],
        )
        assert await notify(running, held, kind) == ""
        await running.until({"link_down": 1})
        assert running.stats["not_authentic"] == 0
