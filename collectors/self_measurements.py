"""What Towpath measures of itself: its part of the catalogue."""

from collectors.declare import counter, measurement
from probes.wire.catalogue import Field, Measurement, Tag

_PROCESS = Tag("process", "which process: its roles, joined")
SELF_POLL = measurement(
    "self_poll",
    "the poller about itself, since its last row: a minute, or less if it was cut off",
    (_PROCESS,),
    Field("period_s", "float", "s", "time between two polls of a device"),
    Field("cut_off", "int", "flag", "1 while none of three or more devices answers"),
    Field("expected", "int", "1", "polls due"),
    Field("done", "int", "1", "polls ended, failed ones included"),
    Field("failed", "int", "1", "polls without an answer"),
    Field("skipped", "int", "1", "polls not begun as the last was still running"),
    Field("late_p99_ms", "float", "ms", "99th percentile start lateness"),
    Field("retries", "int", "packet", "requests sent again"),
)
SELF_TRAPS = measurement(
    "self_traps",
    "the trap receiver about itself, since start",
    (_PROCESS,),
    Field("listening", "int", "flag", "1 where it has its port"),
    counter("received", "datagrams taken from the system", "packet"),
    counter("accepted", "notifications believed and counted as events"),
    counter("incomplete", "of these, cut off or with variables that cannot be read"),
    counter("rows", "rows of `event` made durable"),
    counter("withheld", "about a person: counted and not kept"),
    counter("repeated", "came before: informs sent again, replays"),
    counter("unknown_source", "from an address that is no device's"),
    counter("wrong_community", "with a community no credential has"),
    counter("not_authentic", "v3: wrong user, password, level or time"),
    counter("malformed", "neither traps nor informs"),
    counter("lost", "dropped by the system: the socket was full", "packet"),
    counter("answered", "answers to informs"),
    Field("waiting", "int", "1", "kinds of events with something to write"),
    counter("failures", "times the journal could not take events"),
)
SELF_JOURNAL = measurement(
    "self_journal",
    "a journal about itself",
    (_PROCESS,),
    Field("bytes", "int", "byte", "size on disk"),
    Field("age_s", "float", "s", "age of the oldest batch still held"),
    counter("appended_rows", "rows made durable since start"),
    counter("dead_rows", "rows and single values set aside as not in the catalogue"),
    counter("dropped_bytes", "dropped unread at the limit", "byte"),
    counter("dropped_rows", "rows dropped unread at the limit"),
    counter("refused_rows", "rows the disk did not take, not acknowledged"),
    Field("full", "int", "flag", "1 while the disk has no room"),
    Field("commit_p99_ms", "float", "ms", "99th percentile of write and fsync"),
)
SELF_READER = measurement(
    "self_reader",
    "a reader of the journal about itself",
    (_PROCESS, Tag("reader", "store, alert …")),
    Field("lag_s", "float", "s", "age of the oldest batch it has not passed"),
    counter("passed_rows", "rows passed since start"),
    counter("aside_rows", "rows set aside as indigestible since start"),
    counter("failures", "failed tries since start"),
    counter("damaged_frames", "damaged places of the journal passed over"),
    counter("gap_rows", "rows dropped before it had read them"),
    counter("expired_rows", "store: rows that came after their retention"),
)
# Why an HTTP server of ours closes a connection: `collectors.http.Refusal`.
_REFUSED_CONNECTIONS = (
    counter("refused_no_place", "connections closed: all places were taken"),
    counter("refused_address_full", "closed: too many strangers of one address"),
    counter("refused_agent_full", "closed: too many of one laptop"),
    counter("refused_no_files", "not accepted: the system had no files left"),
    counter("refused_handshake", "TLS was not agreed, or not in time"),
    counter("refused_slow_head", "the head of a request did not come in time"),
    counter("refused_large_head", "the head of a request was too large"),
    counter("refused_bad_http", "not HTTP/1.1 as RFC 9112 has it"),
    counter("refused_slow_reader", "the answer was not read in time"),
)
_CONNECTIONS = (
    Field("connections", "int", "1", "connections now"),
    Field("strangers", "int", "1", "those on which nobody has signed in"),
    *_REFUSED_CONNECTIONS,
)
SELF_INGEST = measurement(
    "self_ingest",
    "the receiving end about itself, since start",
    (_PROCESS, Tag("transport", "https or mqtt")),
    counter("accepted", "reports made durable"),
    counter("duplicates", "reports that had come before"),
    counter("refused", "reports refused, with a reason"),
    counter("unauthorised", "requests without a valid credential"),
    Field("in_flight", "int", "1", "reports waiting for the journal"),
    counter("turned_away", "requests to come later: too many at once"),
    counter("failures", "times the journal could not take reports"),
    counter("misfit_rows", "rows set aside as not in the catalogue"),
    counter("expired_rows", "rows left out as too old to be kept"),
    counter("retimed", "reports from the future, taken as from now"),
    counter("other_whereabouts", "reports without theirs: a laptop had too many"),
    counter("odd_values", "values left out as not in the catalogue"),
    counter("other_targets", "rows whose target no policy has, kept as `other`"),
    # `collectors.ingest.rejection_reasons.Reason`: bodies and reports, senders, haste.
    counter("refused_unreadable", "bodies that cannot be read"),
    counter("refused_too_large", "bodies too large, as sent or unpacked"),
    counter("refused_coding", "bodies in a content coding other than gzip"),
    counter("refused_version", "reports of a version not read here"),
    counter("refused_malformed", "reports that cannot be read"),
    counter("refused_not_yours", "reports that name another agent"),
    counter("refused_credential", "requests without a valid credential"),
    counter("refused_enrolment", "enrolments without a valid token"),
    counter("refused_busy", "requests to come later: too many at once"),
    counter("refused_agent_rate", "requests to come later: the laptop sends too much"),
    counter("refused_enrolment_rate", "enrolments to come later: too many tries"),
    counter("refused_slow_body", "bodies that did not come in time"),
    *_CONNECTIONS,
)
SELF_WEB = measurement(
    "self_web",
    "the status page's server about itself, since start",
    (_PROCESS,),
    *_CONNECTIONS,
)
SELF_AGENTS = measurement(
    "self_agents",
    "agents expected and heard",
    (Tag("home_site", "site the agents belong to"),),
    Field("expected", "int", "1", "agents enrolled and seen in the last 30 days"),
    Field("heard", "int", "1", "agents heard in this clock hour or the one before"),
)
SELF_NOTIFY = measurement(
    "self_notify",
    "notifications, since start",
    (_PROCESS, Tag("channel", "which channel")),
    counter("sent", "delivered"),
    counter("failed", "tries that failed"),
    counter("refused", "tries that the other end refused for good"),
    Field("waiting", "int", "1", "not delivered yet"),
    Field("overdue", "int", "1", "refused, or not delivered two minutes after due"),
)
SELF_DISK = measurement(
    "self_disk",
    "a file system that Towpath writes to",
    (_PROCESS, Tag("folder", "state, journal, store …: what lies on it")),
    Field("free_bytes", "int", "byte", "free for Towpath"),
    Field("size_bytes", "int", "byte", "size"),
    Field("hours_left", "float", "h", "until it is full, by its trend; absent: steady"),
    Field("full", "int", "flag", "1 where nothing more can be written"),
)

SELF_MEASUREMENTS: tuple[Measurement, ...] = (
    SELF_POLL,
    SELF_TRAPS,
    SELF_JOURNAL,
    SELF_READER,
    SELF_INGEST,
    SELF_WEB,
    SELF_AGENTS,
    SELF_NOTIFY,
    SELF_DISK,
)
