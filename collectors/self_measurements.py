"""Towpath's measurements of itself: their part of the catalogue."""

from collectors.declare import SITE, counter, measurement
from probes.wire.catalogue import Field, Measurement, Tag

_PROCESS = Tag("process", "process, by its roles")
SELF_POLL = measurement(
    "self_poll",
    "the poller, since its last row: a minute, or less if it was cut off",
    (_PROCESS,),
    Field("period_s", "float", "s", "time between two polls of a device"),
    Field("cut_off", "int", "flag", "1 while none of three or more devices answers"),
    Field("expected", "int", "1", "polls due"),
    Field("done", "int", "1", "polls completed, including failed ones"),
    Field("failed", "int", "1", "polls without an answer"),
    Field(
        "skipped",
        "int",
        "1",
        "polls due that did not start within a period: the machine was too busy or "
        "suspended, had no port or file left, or the last one was still running",
    ),
    Field("late_p99_ms", "float", "ms", "99th percentile of start delay"),
    Field("retries", "int", "packet", "requests sent again"),
)
SELF_SHARE = measurement(
    "self_share",
    "a poller that shares the estate with others",
    (_PROCESS,),
    Field(
        "held", "int", "1", "devices and VPN gateways that it polls and no other does"
    ),
    Field("pollers", "int", "1", "pollers that share, as far as it knows"),
    Field(
        "settled",
        "int",
        "flag",
        "1 if it has all that it should: it reaches NATS, all have the same estate, "
        "and the others have given up what is its own",
    ),
    counter("changes", "times that it gained or gave up devices"),
)
SELF_STANDBY = measurement(
    "self_standby",
    "a machine that alerts or stands by, where several have the role alert",
    (_PROCESS,),
    Field("active", "int", "flag", "1 if it evaluates and notifies"),
    Field(
        "attended",
        "int",
        "flag",
        "1 if it does, or another machine has the lease to do so",
    ),
    Field(
        "machines", "int", "1", "machines that alert or stand by, as far as it knows"
    ),
)
SELF_TRAPS = measurement(
    "self_traps",
    "the trap receiver, since start",
    (_PROCESS,),
    Field("listening", "int", "flag", "1 if it has its port"),
    counter("received", "datagrams received from the system", "packet"),
    counter("accepted", "notifications accepted and counted as events"),
    counter("incomplete", "of these, truncated or with unreadable variables"),
    counter("rows", "rows of `event` made durable"),
    counter("withheld", "about a person: counted but not stored"),
    counter("repeated", "duplicates: repeated informs, replays"),
    counter("unknown_source", "from an address that belongs to no device"),
    counter("wrong_community", "with a community that no credential has"),
    counter("not_authentic", "v3: wrong user, password, level or time"),
    counter("malformed", "neither traps nor informs"),
    counter("lost", "dropped by the system because the socket was full", "packet"),
    counter("answered", "answers to informs"),
    Field("waiting", "int", "1", "kinds of events that wait to be written"),
    counter("failures", "times the journal could not write events"),
)
SELF_JOURNAL = measurement(
    "self_journal",
    "a journal",
    (_PROCESS,),
    Field("bytes", "int", "byte", "size on disk"),
    Field("age_s", "float", "s", "age of the oldest batch still held"),
    counter("appended_rows", "rows made durable since start"),
    counter("dead_rows", "rows and single values quarantined: not in the catalogue"),
    counter("dropped_bytes", "dropped unread at the limit", "byte"),
    counter("dropped_rows", "rows dropped unread at the limit"),
    counter("refused_rows", "rows that could not be written and were not acknowledged"),
    Field("full", "int", "flag", "1 while the disk is full"),
    Field("commit_p99_ms", "float", "ms", "99th percentile of write and fsync"),
)
SELF_READER = measurement(
    "self_reader",
    "a reader of the journal",
    (_PROCESS, Tag("reader", "store, alert …")),
    Field("lag_s", "float", "s", "age of the oldest unread batch"),
    counter("passed_rows", "rows read since start"),
    counter(
        "aside_rows", "rows quarantined since start because they cannot be processed"
    ),
    counter("failures", "failed attempts since start"),
    counter("damaged_frames", "damaged places in the journal that were skipped"),
    counter("gap_rows", "rows dropped before they were read"),
    Field(
        "newer_logs",
        "int",
        "1",
        "logs that wait, as a newer version of Towpath wrote what comes next",
    ),
    counter("expired_rows", "store: rows that arrived after their retention"),
)
SELF_NATS = measurement(
    "self_nats",
    "a process's connection to the servers of a journal in NATS",
    (_PROCESS,),
    Field("connected", "int", "flag", "1 if it is connected"),
    Field("answers", "int", "flag", "1 if JetStream also answers"),
)
SELF_STREAM = measurement(
    "self_stream",
    "a stream or bucket in NATS, as the process with the role alert sees it: of the "
    "journal, of pollers that share, of machines that alert. With a journal in files "
    "each poller that shares sees its buckets; the role ingest sees those of DMZ "
    "nodes and site nodes. Without a leader nothing else is known",
    (
        _PROCESS,
        Tag("stream", "its name in NATS; after NODE/ if it is of a DMZ or site node"),
    ),
    Field("leader", "int", "flag", "1 if a server leads it, so that it can be used"),
    Field("messages", "int", "1", "messages held"),
    Field("bytes", "int", "byte", "size on each server"),
    Field(
        "used_ratio", "float", "ratio", "of `journal.max_bytes`; of the journal only"
    ),
    Field("replicas", "int", "1", "servers that should have it (`nats.replicas`)"),
    Field(
        "replicas_missing", "int", "1", "of these, away or without its newest messages"
    ),
    Field("age_s", "float", "s", "age of the oldest message still held"),
    Field("unread", "int", "1", "messages that the slowest reader has not passed"),
    Field("slowest", "str", "", "that reader, if it has any to read"),
)
SELF_DMZ = measurement(
    "self_dmz",
    "a DMZ node as the inside sees it",
    (_PROCESS, Tag("node", "name of the DMZ node")),
    Field("connected", "int", "flag", "1 if the inside reaches its nats-server"),
    Field(
        "list_age_s",
        "float",
        "s",
        "time since all that it must know was published there, or since the start",
    ),
    counter("taken_rows", "rows that were pulled and taken"),
    counter(
        "unenrolled_rows",
        "rows left out: of laptops that are revoked, erased or not known",
    ),
    counter(
        "refused_rows",
        "rows left out that a working node never sends: about other things, of the "
        "future, or not readable",
    ),
    counter("changed_rows", "rows with a tag or text that ingest would not let in"),
    counter("requests", "enrolments, new secrets and support codes given"),
)
SELF_DMZ_NODE = measurement(
    "self_dmz_node",
    "a DMZ node, as it sees itself",
    (_PROCESS,),
    Field("ready", "int", "flag", "1 if it can let laptops in"),
    Field("list_age_s", "float", "s", "age of the list of laptops; absent: none came"),
    Field("laptops", "int", "1", "laptops on the list"),
    Field(
        "waiting", "int", "1", "laptops of which the inside has not heard the newest"
    ),
)
# The reasons for closing an HTTP connection: `collectors.http.refusal_reasons`.
_REFUSED_CONNECTIONS = (
    counter("refused_no_place", "connections closed because the limit was reached"),
    counter(
        "refused_address_full", "closed: too many from one address without a sign-in"
    ),
    counter("refused_agent_full", "closed: too many from one laptop"),
    counter("refused_no_files", "not accepted: no file descriptors left"),
    counter("refused_handshake", "the TLS handshake failed or took too long"),
    counter("refused_slow_head", "a request head did not arrive in time"),
    counter("refused_large_head", "a request head was too large"),
    counter("refused_bad_http", "not valid HTTP/1.1 (RFC 9112)"),
    counter("refused_slow_reader", "the client did not read the answer in time"),
)
_CONNECTIONS = (
    Field("connections", "int", "1", "connections now"),
    Field("strangers", "int", "1", "connections on which nobody has signed in"),
    *_REFUSED_CONNECTIONS,
)
SELF_INGEST = measurement(
    "self_ingest",
    "ingest, since start",
    (_PROCESS, Tag("transport", "https or mqtt")),
    counter("accepted", "reports made durable"),
    counter("duplicates", "reports that were received before"),
    counter("refused", "reports refused, with a reason"),
    counter("unauthorised", "requests without a valid credential"),
    Field("in_flight", "int", "1", "reports waiting for the journal"),
    counter("turned_away", "requests told to retry: too many at once"),
    counter("failures", "times the journal could not write reports"),
    counter("misfit_rows", "rows quarantined: not in the catalogue"),
    counter("expired_rows", "rows dropped as too old to be kept"),
    counter("retimed", "reports from the future, moved to now"),
    counter(
        "other_whereabouts",
        "reports stored without whereabouts: the laptop had too many",
    ),
    counter("odd_values", "values dropped: not in the catalogue"),
    counter("other_targets", "rows with a target in no policy, stored as `other`"),
    # The reasons of `collectors.ingest.rejection_reasons`.
    counter("refused_unreadable", "bodies that cannot be read"),
    counter("refused_too_large", "bodies too large, as sent or unpacked"),
    counter("refused_coding", "bodies in a content coding other than gzip"),
    counter("refused_version", "reports of an unsupported version"),
    counter("refused_malformed", "reports that cannot be read"),
    counter("refused_not_yours", "reports that name another agent"),
    counter("refused_credential", "requests without a valid credential"),
    counter("refused_used_twice", "requests with a secret that was replaced"),
    counter("refused_enrolment", "enrolments without a valid token"),
    counter("refused_busy", "requests told to retry: too many at once"),
    counter("refused_agent_rate", "requests told to retry: the laptop sends too much"),
    counter("refused_enrolment_rate", "enrolments told to retry: too many attempts"),
    counter("refused_slow_body", "bodies that did not arrive in time"),
    *_CONNECTIONS,
)
SELF_WEB = measurement(
    "self_web",
    "the status page's server, since start",
    (_PROCESS,),
    *_CONNECTIONS,
)
SELF_AGENTS = measurement(
    "self_agents",
    "agents expected and seen; without counts if they are too few",
    (Tag("home_site", "site the agents belong to; `small sites`: all of too few"),),
    Field("enough", "int", "flag", "1 if it has enough laptops to be counted"),
    Field("expected", "int", "1", "seen in the last 30 days, rounded up to 5"),
    Field("heard", "int", "1", "seen in this clock hour or the last, rounded up to 5"),
)
SELF_TEAM = measurement(
    "self_team",
    "whether the laptops of a team report; without counts if they are too few",
    (Tag("team", "estate id of the team"), SITE),
    Field("name", "str", "1", "its name in the estate, or else its id"),
    Field("enough", "int", "flag", "1 if it has enough laptops to be counted"),
    Field("state_text", "str", "1", "measured, or fewer than the smallest group"),
    Field("expected", "int", "1", "seen in the last 30 days, rounded up to 5"),
    Field("heard", "int", "1", "seen in this clock hour or the last, rounded up to 5"),
)
SELF_NOTIFY = measurement(
    "self_notify",
    "notifications, since start",
    (_PROCESS, Tag("channel", "which channel")),
    counter("sent", "delivered"),
    counter("failed", "failed attempts"),
    counter("refused", "attempts that the receiver refused permanently"),
    counter("unauthorised", "attempts and updates that it took for a stranger's"),
    counter("refresh_failed", "failed updates of what it shows"),
    Field("refresh_failing", "int", "flag", "1 if the newest update failed"),
    Field("waiting", "int", "1", "not delivered yet"),
    Field("overdue", "int", "1", "refused, or not delivered two minutes after due"),
)
SELF_CLOCK = measurement(
    "self_clock",
    "the clock of the machine, by which data is old enough to be deleted",
    (_PROCESS,),
    Field(
        "trusted",
        "int",
        "flag",
        "0 while it is too far ahead: nothing is deleted",
    ),
    Field("ahead_s", "float", "s", "how far ahead; 0 while it is trusted"),
)
SELF_DISK = measurement(
    "self_disk",
    "a file system that Towpath writes to",
    (_PROCESS, Tag("folder", "folders on it: state, journal, store …")),
    Field("free_bytes", "int", "byte", "free for Towpath"),
    Field("size_bytes", "int", "byte", "size"),
    Field(
        "hours_left",
        "float",
        "h",
        "hours until it is full, by its trend; absent: not filling",
    ),
    Field("full", "int", "flag", "1 if nothing more can be written"),
)
SELF_CERTIFICATE = measurement(
    "self_certificate",
    "a file of certificates, or of credentials for NATS, that Towpath uses",
    (
        _PROCESS,
        Tag("setting", "setting that names it, such as ingest.https.certificate"),
    ),
    Field(
        "certificate_days",
        "float",
        "d",
        "days until it expires; absent: unreadable, or credentials that never expire",
    ),
    Field("readable", "int", "flag", "1 if it has what it should have"),
    Field("file", "str", "1", "the file"),
)

SELF_MEASUREMENTS: tuple[Measurement, ...] = (
    SELF_POLL,
    SELF_SHARE,
    SELF_STANDBY,
    SELF_TRAPS,
    SELF_JOURNAL,
    SELF_READER,
    SELF_NATS,
    SELF_STREAM,
    SELF_DMZ,
    SELF_DMZ_NODE,
    SELF_INGEST,
    SELF_WEB,
    SELF_AGENTS,
    SELF_TEAM,
    SELF_NOTIFY,
    SELF_CLOCK,
    SELF_DISK,
    SELF_CERTIFICATE,
)
