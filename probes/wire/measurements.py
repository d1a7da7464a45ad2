"""What the agents measure: their part of the catalogue.

Every measurement here is about one laptop, so all of it is personal data. Each one is
declared with its probe (`path_probes.py`, `service_probes.py`, `laptop_probes.py`).
"""

from __future__ import annotations

from probes.wire.catalogue import Catalogue
from probes.wire.probe_list import PROBES

MEASUREMENTS = tuple(probe.measurement for probe in PROBES)
CATALOGUE = Catalogue(MEASUREMENTS)
