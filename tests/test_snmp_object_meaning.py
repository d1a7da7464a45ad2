"""What an object measures follows from its name, unit, hint and labels in the MIB."""

from __future__ import annotations

import pytest

from collectors.snmp.drafting.mib_objects import MibObject
from collectors.snmp.drafting.object_meaning import (
    EnumeratedObject,
    MeasuredObject,
    ObjectMeaning,
    meaning,
)
from collectors.snmp.drafting.state_meaning import CodeStateObject, TextStateObject
from collectors.snmp.drafting.usage_meaning import (
    AmountObject,
    UsageObject,
    WirelessObject,
)

HUMIDITY = MeasuredObject("humidity", has_unit=True)
PERCENT = MeasuredObject("percent", has_unit=True)
COUNT = MeasuredObject("count", is_stated=True)


@pytest.mark.parametrize(
    ("name", "syntax", "units", "hint", "found"),
    [
        ("aTemp", "Integer32", "", "", MeasuredObject("temperature")),
        # No ampere.
        ("chillerName", "Integer32", "N/A", "", None),
        ("coilLevel", "Integer32", "n/a", "", None),
        (
            "aVoltage",
            "Integer32",
            "mV",
            "",
            MeasuredObject("voltage", 1000, is_stated=True, has_unit=True),
        ),
        ("aTemperatureHighThreshold", "Integer32", "C", "", None),
        ("aTemperatureName", "OCTET STRING", "", "", None),
        (
            "aCpuUtilization",
            "Gauge32",
            "%",
            "",
            UsageObject("processors", is_stated=True),
        ),
        (
            "aCpuIdle",
            "Gauge32",
            "%",
            "",
            UsageObject("processors", True, is_stated=True),
        ),
        # Means of a time, however it is written.
        (
            "aCpuUtilDuringLastMinute",
            "INTEGER",
            "",
            "unit=percent",
            UsageObject("processors", period_s=60, is_stated=True),
        ),
        (
            "anAgentCPUutilizationIn5sec",
            "Integer32",
            "",
            "",
            UsageObject("processors", period_s=5),
        ),
        (
            "aSlotCpu5MinAve",
            "INTEGER",
            "",
            "",
            UsageObject("processors", period_s=300),
        ),
        (
            "aCpuUsage",
            "Integer32",
            "0.01 percent",
            "",
            UsageObject("processors", is_stated=True, divisor=100),
        ),
        # A time, but the one that is now.
        (
            "aRealTimeTemp",
            "Integer32",
            "Celsius",
            "",
            MeasuredObject("temperature", is_stated=True, has_unit=True),
        ),
        (
            "aServerOperability",
            "INTEGER 0=unknown 1=operable 2=inoperable",
            "",
            "",
            EnumeratedObject(
                {
                    0: ("unknown", "unknown"),
                    1: ("operable", "ok"),
                    2: ("inoperable", "critical"),
                }
            ),
        ),
        (
            "aProbeHighTempViolation",
            "INTEGER 1=noViolation 2=highTempViolation 3=disabled",
            "",
            "",
            EnumeratedObject(
                {
                    1: ("noViolation", "ok"),
                    2: ("highTempViolation", "critical"),
                    3: ("disabled", "unknown"),
                }
            ),
        ),
        ("aConnectedRoutesRedistribute", "INTEGER 1=true 2=false", "", "", None),
        ("aCpuUsageThreshold", "INTEGER", "%", "", None),
        ("aCpuMinUsage", "INTEGER", "", "", None),
        ("aCpuId", "Gauge32", "%", "", None),
        ("aProcessCpuUsage", "Gauge32", "%", "", None),
        ("aCpuProtectRate", "Gauge32", "", "", None),
        ("anApCpuUsage", "Gauge32", "", "", None),
        ("aMemoryTotalMB", "Gauge32", "MegaBytes", "", AmountObject("total", 1024**2)),
        ("aKbMemoryAvailable", "Unsigned32", "", "", AmountObject("free", 1024)),
        ("aMemHCUsed", "Counter64", "bytes", "", AmountObject("used", 1, True)),
        ("aMemoryBusy", "INTEGER", "", "", AmountObject("used", may_be_share=True)),
        (
            "aDRAMutilization",
            "INTEGER",
            "",
            "unit=percent",
            UsageObject("memory", is_stated=True),
        ),
        ("aMemoryLowest", "Gauge32", "bytes", "", None),
        ("anApClientCount", "Counter32", "", "", WirelessObject("clients")),
        ("aSsidNumStations", "Gauge32", "", "", WirelessObject("clients", True)),
        ("aClientCount", "Gauge32", "", "", None),
        ("aWlanClientRxPackets", "Gauge32", "", "", None),
        ("aWlanMaxClientCount", "Gauge32", "", "", None),
        ("aFanMode", "INTEGER 1=auto 2=manual", "", "", None),
        (
            "aFanStatus",
            "INTEGER 1=ok 2=failed",
            "",
            "",
            EnumeratedObject({1: ("ok", "ok"), 2: ("failed", "critical")}),
        ),
        (
            "aOverloadAlarm",
            "INTEGER 1=true 2=false",
            "",
            "",
            EnumeratedObject({1: ("true", "critical"), 2: ("false", "ok")}),
        ),
        (
            "aFanAlarm",
            "INTEGER 0=off 1=on",
            "",
            "",
            EnumeratedObject({0: ("off", "ok"), 1: ("on", "warning")}),
        ),
        ("aRadioTxPower", "Integer32", "dBm", "", None),
        (
            "aBatteryTemp",
            "INTEGER -1=notAvailable",
            "Celsius",
            "",
            MeasuredObject("temperature", is_stated=True, has_unit=True, absent=(-1,)),
        ),
        (
            "aSupplyVoltage",
            "Integer32:Millivolt",
            "",
            "display=d-3",
            MeasuredObject("voltage", 1000, is_stated=True, has_unit=True),
        ),
        (
            "aCardPower",
            "Integer32",
            "0.001W",
            "",
            MeasuredObject("power", 1000, is_stated=True, has_unit=True),
        ),
        (
            "aSfpRxPower",
            "Integer32",
            "uW",
            "",
            MeasuredObject("dbm", 1000, is_stated=True, has_unit=True, is_light=True),
        ),
        (
            "upsBatteryRunTimeRemaining",
            "TimeTicks",
            "",
            "",
            MeasuredObject("runtime", 6000, is_stated=True),
        ),
        (
            "aActiveSessions",
            "Gauge32",
            "",
            "",
            MeasuredObject("count", is_stated=True),
        ),
        ("aPeakSessions", "Gauge32", "", "", None),
        (
            "aSesRate10",
            "Gauge32",
            "Sessions Per Second",
            "",
            MeasuredObject("count", is_stated=True),
        ),
        (
            "aActiveTcpCps",
            "Integer32",
            "",
            "",
            MeasuredObject("count", is_stated=True),
        ),
        ("aSysSesCount", "Gauge32", "", "", MeasuredObject("count", is_stated=True)),
        # Severely errored seconds.
        ("aCurrentDaySES", "Gauge32", "", "", None),
        (
            "aRcpPf",
            "Unsigned32",
            ".01 Power Factor",
            "",
            MeasuredObject("power_factor", 100, is_stated=True),
        ),
        (
            "aPercentLoad",
            "INTEGER",
            "",
            "unit=percent|volt-amp",
            MeasuredObject("load", has_unit=True),
        ),
        (
            "aMRSRP",
            "OCTET STRING:DisplayString",
            "",
            "unit=dbm",
            MeasuredObject("signal", is_stated=True),
        ),
        ("aSupplyHum", "INTEGER", "", "unit=percent", HUMIDITY),
        ("aHumActualOutput", "INTEGER", "", "unit=percent", PERCENT),
        # A mode is neither good nor bad, and a setting if it is not said to be now.
        (
            "aCfgRedundancyOperMode",
            "INTEGER 1=nonRedundant 2=hotStandby",
            "",
            "",
            EnumeratedObject(
                {1: ("nonRedundant", "unknown"), 2: ("hotStandby", "unknown")}
            ),
        ),
        ("aRedundancyMode", "INTEGER 1=nonRedundant 2=hotStandby", "", "", None),
        (
            "aStorageDisruptionDetected",
            "INTEGER 1=no 2=yes",
            "",
            "",
            EnumeratedObject({1: ("no", "ok"), 2: ("yes", "critical")}),
        ),
        (
            "aOutputOnByPass",
            "INTEGER 1=yes 2=no",
            "",
            "",
            EnumeratedObject({1: ("yes", "critical"), 2: ("no", "ok")}),
        ),
        (
            "aBreakerPosition",
            "INTEGER 1=open 2=closed",
            "",
            "",
            EnumeratedObject({1: ("open", "unknown"), 2: ("closed", "ok")}),
        ),
        (
            "aBackupStatusString",
            "OCTET STRING:DisplayString",
            "",
            "",
            TextStateObject(),
        ),
        # What came of a setting, as a text.
        ("aControlStatus", "OCTET STRING:DisplayString", "", "", TextStateObject()),
        ("aNumOfBadBattPacks", "INTEGER", "", "", COUNT),
        ("aOptimizedConnections", "Unsigned32", "", "", COUNT),
        ("aDHCPLeaseCount", "Gauge32", "", "", COUNT),
        ("aLicensedConnections", "INTEGER", "", "", None),
        (
            "aInputLineFailCause",
            "INTEGER 1=noTransfer 2=blackout",
            "",
            "",
            EnumeratedObject(
                {1: ("noTransfer", "unknown"), 2: ("blackout", "unknown")}
            ),
        ),
        # A counter that began again is no number of what there is now.
        ("aCurrSslConns", "Counter64", "", "", COUNT),
        ("aCurrentDayCalls", "Counter32", "", "", None),
        # Celsius or Fahrenheit is often a setting, but degrees are a temperature.
        (
            "aProbeTemp",
            "Integer32",
            "tenth degrees",
            "scale=0.1",
            MeasuredObject("temperature", 10, is_stated=True),
        ),
        ("aAzimuth", "Integer32", "degrees", "", None),
        # Of a probe, but not what it measures.
        ("aTempSensorSerial", "OCTET STRING:DisplayString", "", "", None),
        ("aTempSensorAvail", "Gauge32", "", "", None),
        ("aTempActionBytes", "Counter64", "", "", None),
        # Numbers of states that the MIB does not explain; 0 is no fault.
        ("aFan1Status", "Integer32", "", "", CodeStateObject()),
        ("aTempSensorStatus", "INTEGER", "", "", CodeStateObject()),
        ("aFan1", "Integer32", "", "", None),
        ("anAdminStatus", "INTEGER", "", "", None),
        ("aPeerStatusCount", "INTEGER", "", "", None),
        ("aOutputOverload", "INTEGER", "", "", CodeStateObject(is_trouble=True)),
        ("aWaterTooLowAlarm", "Gauge32", "", "", CodeStateObject(is_trouble=True)),
        # A threshold, and a counter.
        ("aWaterLowAlarm", "Gauge32", "", "", None),
        ("anAuthFail", "INTEGER", "", "", None),
        ("anAcFail", "INTEGER", "", "", CodeStateObject(is_trouble=True)),
        ("aFanFail", "Gauge32", "", "", None),
        # A description that names volts does not make this a voltage.
        ("aQueueCalc", "Integer32", "", "unit=volt", None),
    ],
)
def test_names_units_and_labels_give_the_meaning(
    name: str, syntax: str, units: str, hint: str, found: ObjectMeaning | None
) -> None:
    assert meaning(MibObject("1.3", name, "", "scalar", syntax, units, hint)) == found


@pytest.mark.parametrize(
    ("name", "is_counted"),
    [("aLoginUsers", True), ("aConnectedLegs", True), ("aNumUsers", False)],
)
def test_a_table_counts_what_is_certainly_there_now(
    name: str, is_counted: bool
) -> None:
    found = meaning(MibObject("1.3", name, "", "column", "Gauge32"))
    assert found == (COUNT if is_counted else None)
