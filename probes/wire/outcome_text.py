"""A plain sentence for every outcome."""

from probes.wire.failure import Outcome

# Each text follows a name: "Payroll did not answer in time".
OUTCOME_TEXT = {
    Outcome.OK: "worked",
    Outcome.TIMEOUT: "did not answer in time",
    Outcome.REFUSED: "refused the connection",
    Outcome.UNREACHABLE: "cannot be reached from here",
    Outcome.RESET: "closed the connection unexpectedly",
    Outcome.NAME_NOT_FOUND: "could not be found (DNS)",
    Outcome.NAME_SERVER_FAILED: "could not be looked up: the DNS server failed",
    Outcome.TLS_FAILED: "has a certificate that is not trusted",
    Outcome.AUTH_FAILED: "asked for a password",
    Outcome.BAD_ANSWER: "answered with an error",
    Outcome.UDP_BLOCKED: "cannot be reached over UDP, which calls need",
    Outcome.CAPTIVE_PORTAL: "is behind a sign-in page: open your browser and sign in",
    Outcome.NO_NETWORK: "cannot be reached: there is no network",
    Outcome.CLOCK_WRONG: "could not be checked: this laptop's clock is wrong",
    Outcome.OTHER: "ended with a result that this version does not recognise",
    Outcome.NOT_PRESENT: "was not found on this laptop",
    Outcome.NOT_CONNECTED: "is not connected",
    Outcome.SWITCHED_OFF: "is switched off on this laptop",
    Outcome.NOT_PERMITTED: "was not measured: this laptop's settings do not allow it",
    Outcome.NOT_SUPPORTED: "cannot be measured on this system",
    Outcome.NOT_CONFIGURED: "has not been set up by the council",
    Outcome.BUDGET_SPENT: "was not measured: the data allowance is used up",
    Outcome.METERED: "was not measured: this connection is metered",
    Outcome.ON_BATTERY: "was not measured: the laptop is on battery",
    Outcome.IN_USE: "was not measured: the laptop is in use",
    Outcome.BUSY: "was not measured: the server is busy, the agent will try again",
    Outcome.PAUSED: "was not measured: measuring is paused",
    Outcome.NO_RESOURCES: "was not measured: this computer has no ports or memory left",
}
