"""The closed list of outcomes, and the probes, in words that a person reads."""

from probes.failure import Outcome

WORDS = {
    Outcome.OK: "worked",
    Outcome.TIMEOUT: "did not answer in time",
    Outcome.REFUSED: "refused the connection",
    Outcome.UNREACHABLE: "cannot be reached from here",
    Outcome.RESET: "broke off the connection",
    Outcome.NAME_NOT_FOUND: "has a name that is not known here",
    Outcome.NAME_SERVER_FAILED: "could not be looked up: the name server failed",
    Outcome.TLS_FAILED: "showed a certificate that is not to be trusted",
    Outcome.AUTH_FAILED: "asked for a password",
    Outcome.BAD_ANSWER: "answered with an error",
    Outcome.UDP_BLOCKED: "cannot be reached by UDP, which calls need",
    Outcome.CAPTIVE_PORTAL: "is hidden behind a sign-in page: open your browser",
    Outcome.NO_NETWORK: "cannot be reached: there is no network",
    Outcome.CLOCK_WRONG: "cannot be trusted: this laptop's clock is wrong",
    Outcome.OTHER: "ended in a way that this version does not know",
    Outcome.NOT_PRESENT: "is not there",
    Outcome.NOT_CONNECTED: "is not connected",
    Outcome.NOT_PERMITTED: "is switched off on this laptop",
    Outcome.NOT_SUPPORTED: "cannot be measured on this system",
    Outcome.NOT_CONFIGURED: "is not set up by the council",
    Outcome.BUDGET_SPENT: "was not measured: this month's data budget is spent",
    Outcome.METERED: "was not measured: this connection is paid by volume",
    Outcome.ON_BATTERY: "was not measured: the laptop runs on battery",
    Outcome.IN_USE: "was not measured: the laptop is in use",
    Outcome.BUSY: "was not measured: the far end is busy, it is tried again later",
    Outcome.PAUSED: "was not measured: paused",
}
TITLES = {
    "call_path": "call path",
    "path": "path",
    "teams_relay": "Teams relay",
    "name_lookup": "name lookup",
    "web": "web",
    "vpn": "VPN",
    "wifi": "Wi-Fi",
    "laptop": "this laptop",
    "bandwidth": "speed test",
    "agent": "this agent",
}
