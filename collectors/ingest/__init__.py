"""The receiving end: enrolled laptops, and their reports over HTTPS and MQTT.

`https_ingest` and `mqtt_ingest` receive bodies. `report_body` turns a body into
reports, `report_rows` turns reports into batches, and `intake` returns a receipt once
the journal has them on disk.
"""

from typing import TYPE_CHECKING

from collectors.late_exports import export_late

if TYPE_CHECKING:
    from collectors.ingest.broker_files import BrokerFiles
    from collectors.ingest.enrolled_counts import enrolled_samples
    from collectors.ingest.https_ingest import HttpsIngest
    from collectors.ingest.ingest_config import IngestConfig
    from collectors.ingest.ingest_stats import ingest_sample
    from collectors.ingest.mqtt_ingest import MqttIngest
    from collectors.ingest.policies import agent_policy
    from collectors.ingest.pseudonym import rotate_key
    from collectors.ingest.registry import Registry
else:
    __getattr__ = export_late(__name__)

__all__ = [
    "BrokerFiles",
    "HttpsIngest",
    "IngestConfig",
    "MqttIngest",
    "Registry",
    "agent_policy",
    "enrolled_samples",
    "ingest_sample",
    "rotate_key",
]
