"""The receiving end: enrolled laptops, and their reports over HTTPS and MQTT.

A body becomes reports (`body`), reports become batches (`rows`), and a receipt is
given once the journal has them (`intake`); `https` and `mqtt` are the two doors.
"""

from collectors.ingest.broker_files import BrokerFiles
from collectors.ingest.https_ingest import HttpsIngest
from collectors.ingest.ingest_config import IngestConfig
from collectors.ingest.ingest_stats import agents_samples, ingest_sample
from collectors.ingest.mqtt_ingest import MqttIngest
from collectors.ingest.policies import policy_of
from collectors.ingest.pseudonym import rotate_key
from collectors.ingest.registry import Registry

__all__ = [
    "BrokerFiles",
    "HttpsIngest",
    "IngestConfig",
    "MqttIngest",
    "Registry",
    "agents_samples",
    "ingest_sample",
    "policy_of",
    "rotate_key",
]
