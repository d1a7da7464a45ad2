"""A new probe is one `Probe` value and its runner: everything else follows from those.

The probe here is in a module of the test's own. A program adds it to the list, as the
line in `probes/wire/probe_list.py` does, and then uses agent and server as they are.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from probes.measure.probe_runner import make_runner
from probes.wire.probe import Probe
from probes.wire.probe_list import PROBES

_PROBE = '''
"""How many lamps are lit."""

from probes.measure.probe_runner import ProbeRunner
from probes.wire.catalogue import Field
from probes.wire.failure import Outcome
from probes.wire.probe import Probe, agent_measurement
from probes.wire.report import Result


class LampRunner(ProbeRunner):
    async def run(self, context):
        values = {"lamps": len(context.policy.names) + 3}
        yield Result("lamp", 1, context.now_ms(), Outcome.OK, "hall", values, 700)


LAMP = Probe(
    measurement=agent_measurement(
        "lamp", "the lamps that are lit", 600, Field("lamps", "int", "1", "lit lamps")
    ),
    title="lit lamps",
    about="How many lamps are lit",
    runner="lamp_probe:LampRunner",
    target_names=("hall",),
    metered_factor=2,
    cost_bytes=lambda conditions: 700,
)
'''

_PROGRAM = """
import probes.wire.probe_list as probe_list
from lamp_probe import LAMP

probe_list.PROBES = (*probe_list.PROBES, LAMP)

import asyncio
import contextlib
import io
import json
import sys
from pathlib import Path

import msgspec

from collectors.batch import batch_samples
from collectors.estate.estate_model import Estate
from collectors.experience.agent_results import read_results
from collectors.ingest.ingest_config import PolicyConfig
from collectors.ingest.policies import agent_policy
from collectors.ingest.tag_limits import TagLimits
from collectors.server_measurements import CATALOGUE
from probes.agent.agent import Agent
from probes.agent.agent_parts import AgentIdentity, AgentTiming, ServerLink
from probes.agent.agent_cli import main
from probes.agent.place import KnownPlaces, Locator
from probes.agent.settings import Settings, SpoolLimits
from probes.agent.spool import Spool
from probes.wire import data_costs
from probes.diagnosis.agent_status import read_status, status_lines
from probes.diagnosis.what_we_collect import what_we_collect
from probes.wire.catalogue import check_sample
from probes.wire.clock import wall_ms
from probes.wire.report import AgentCredential, Receipt, Report, samples

folder = Path(sys.argv[1])
cadence = {probe.name: 0 for probe in probe_list.PROBES} | {"lamp": 60}
# The server accepts the name in its policy, and gives it to the agents.
policy = agent_policy(Estate(), PolicyConfig(cadence_s=cadence, report_s=10), "")
(folder / "policy.json").write_bytes(msgspec.json.encode(policy))
reports = []


class Council:
    async def send(self, batch):
        reports.extend(msgspec.json.decode(each.body, type=Report) for each in batch)
        arrived.set()
        return Receipt(tuple(each.id for each in batch))


async def run_agent():
    global arrived
    arrived, stop = asyncio.Event(), asyncio.Event()
    settings = Settings(server="https://x", state_folder=str(folder))
    identity = AgentIdentity(settings, AgentCredential("a", "s"), "test")
    with Spool(folder, SpoolLimits(), wall_ms) as spool:
        agent = Agent(
            identity,
            spool,
            ServerLink(Council()),
            timing=AgentTiming(soon_ms=50, tick_s=0.02),
            locator=Locator(KnownPlaces(folder, b"key"), gather=lambda: []),
        )
        task = asyncio.create_task(agent.run(stop))
        async with asyncio.timeout(30):
            await arrived.wait()
        stop.set()
        await task


asyncio.run(run_agent())
results = [result for report in reports for result in report.results]
((name, outcome, target),) = {(r.probe, r.outcome, r.target) for r in results}
row = samples(reports[0], "hall", "")[0]
(batch,) = batch_samples([row], "agents", row.time_ms)
POLICY = PolicyConfig()
limits = TagLimits(Estate, lambda: POLICY, CATALOGUE)
with contextlib.redirect_stdout(io.StringIO()) as once:
    code = main(["once", "--probe", "lamp", "--json", "--name", "a.example"])
print(
    json.dumps(
        {
            "result": [name, outcome, target],
            "stored": check_sample(limits.limit_sample(row), CATALOGUE).fields["lamps"],
            "target": limits.limit_sample(row).tags["target"],
            "others": limits.other_targets,
            "groups": [result.kind for result in read_results(batch, {})],
            "status": status_lines(read_status(folder), wall_ms()),
            "costs": [
                (line.run_bytes, line.runs)
                for metered in (False, True)
                for line in data_costs.day(policy, metered)
                if line.name == "lamp"
            ],
            "collected": what_we_collect(),
            "once": [code, json.loads(once.getvalue())["results"][0]["values"]],
        }
    )
)
"""


@pytest.mark.timeout(90)
def test_a_new_probe_is_one_module_and_its_line_in_the_list(tmp_path: Path) -> None:
    (tmp_path / "lamp_probe.py").write_text(_PROBE)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    path = [str(tmp_path), str(Path(__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(state)],
        env={
            "PYTHONPATH": ":".join(path),
            "PATH": "/bin",
            "HOME": str(tmp_path),
            "TOWPATH_AGENT_STATE_FOLDER": str(tmp_path / "once"),
        },
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    # Scheduled, measured and reported, and shown by its title.
    assert seen["result"] == ["lamp", "ok", "hall"]
    assert any("Lit lamps (hall)" in line for line in seen["status"])
    # The server keeps its row, with the target that it allows.
    assert (seen["stored"], seen["target"], seen["others"]) == (3, "hall", 0)
    # Groups read it, and show nothing of it until a figure is declared.
    assert seen["groups"] == ["lamp"]
    # Its cost counts: each minute, as in the policy, and so on a metered line too.
    assert seen["costs"] == [[700, 1440], [700, 720]]
    assert "Lit lamps (lamp): the lamps that are lit" in seen["collected"]
    assert seen["once"] == [0, {"lamps": 4}]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_every_probe_has_a_title_and_a_runner(probe: Probe) -> None:
    assert probe.title
    make_runner(probe)


def test_a_probe_that_uses_data_says_how_much_or_has_a_budget_of_its_own() -> None:
    from probes.wire.policy import MediaEdgeAt, Policy, TeamsRelay
    from probes.wire.probe import RunConditions

    edge = MediaEdgeAt("e", "x", 1, "stun")
    policy = Policy(teams_relay=TeamsRelay("x"), media_edges=(edge,))
    conditions = RunConditions(policy, False, 1, 1, 28)
    for probe in PROBES:
        assert probe.heavy or probe.local or probe.cost_bytes(conditions) > 0, (
            probe.name
        )
