from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit import linux, machine

# Recorded: an x86 server with two hyper-threads on each of two cores, a Raspberry Pi 4, an old Android phone.
X86 = "\n\n".join(
    f"processor\t: {number}\nmodel name\t: AMD EPYC 9555\nphysical id\t: 0\ncore id\t\t: {number // 2}\n"
    "flags\t\t: fpu sse2 avx2 fma avx512f avx512_bf16 avx512_vnni amx_int8" + (" extra" if number else "")
    for number in range(4)
)
PI = (
    "\n\n".join(
        f"processor\t: {number}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\n"
        "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3"
        for number in range(4)
    )
    + "\n\nRevision\t: c03114\nSerial\t\t: 0\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
)
PHONE = (
    "processor\t: 0\nFeatures\t: fp asimd asimdhp asimddp i8mm bf16 sve\nCPU part\t: 0xd46\n\n"
    "processor\t: 1\nFeatures\t: fp asimd asimdhp asimddp\nCPU part\t: 0xabc\n\nHardware\t: Some SoC\n"
)
MEMINFO = "MemTotal:        8000000 kB\nMemFree:          500000 kB\nMemAvailable:    4000000 kB\n"
STATUS = "Name:\tpython\nVmHWM:\t  300000 kB\nVmRSS:\t  200000 kB\nRssAnon:\t  150000 kB\nRssFile:\t   50000 kB\n"
MIB = 1 << 20


def tree(root: Path, **files: str) -> tuple[Path, Path]:
    """Make /proc and /sys out of recorded files; `__` in a name is a slash."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root / "proc", root / "sys"


def test_an_x86_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "allowed_processors", lambda: frozenset(range(4)))
    proc, sysfs = tree(tmp_path, proc__cpuinfo=X86)
    cpu = machine.read_cpu(proc, sysfs, "linux")
    assert cpu.name == "AMD EPYC 9555"
    assert cpu.features == ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8")
    assert (cpu.physical_cores, cpu.logical_cores) == (2, 4)


def test_a_raspberry_pi(tmp_path: Path) -> None:
    proc, sysfs = tree(tmp_path, proc__cpuinfo=PI)
    assert linux.cpu_name(proc) == "Cortex-A72, Raspberry Pi 4 Model B Rev 1.4"
    assert machine.read_cpu(proc, sysfs, "linux").features == ("asimd",)
    assert linux.physical_cores(proc, sysfs) == 4


def test_what_an_arm_processor_is_known_to_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proc, sysfs = tree(tmp_path, proc__cpuinfo=PI)
    pi = machine.read_cpu(proc, sysfs, "linux")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert machine.lacks("atomics", pi)
    assert not machine.lacks("asimd", pi)
    assert not machine.lacks("atomics", dataclasses.replace(pi, features=()))  # Windows does not tell
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert not machine.lacks("atomics", pi)


def test_the_board_is_read_from_the_device_tree_too(tmp_path: Path) -> None:
    proc, _ = tree(tmp_path, proc__cpuinfo=PI.split("\n\n")[0])
    tree(tmp_path, **{"proc__device-tree__model": "Raspberry Pi 5 Model B Rev 1.0\0"})
    assert linux.cpu_name(proc) == "Cortex-A72, Raspberry Pi 5 Model B Rev 1.0"


def test_a_phone_has_the_features_that_all_its_cores_have(tmp_path: Path) -> None:
    proc, sysfs = tree(tmp_path, proc__cpuinfo=PHONE)
    cpu = machine.read_cpu(proc, sysfs, "android")
    assert cpu.name == "Arm part 0xabc + Cortex-A510, Some SoC"
    assert cpu.features == ("asimd", "asimdhp", "asimddp")


def test_cores_by_siblings_affinity_and_quota(tmp_path: Path) -> None:
    topology = {
        f"sys__devices__system__cpu__cpu{n}__topology__core_cpus_list": f"{n % 4},{n % 4 + 4}" for n in range(8)
    }
    proc, sysfs = tree(tmp_path, proc__cpuinfo=X86, **topology)
    assert linux.physical_cores(proc, sysfs) == 4
    assert linux.physical_cores(proc, sysfs, frozenset({0, 4, 1})) == 2
    tree(
        tmp_path,
        proc__self__cgroup="0::/a/b\n",
        **{"sys__fs__cgroup__a__cpu.max": "250000 100000", "sys__fs__cgroup__a__b__cpu.max": "max 100000"},
    )
    assert linux.physical_cores(proc, sysfs) == 3
    tree(tmp_path, **{"sys__fs__cgroup__a__b__cpu.max": "10000 100000"})
    assert linux.physical_cores(proc, sysfs) == 1


def test_memory_without_a_container(tmp_path: Path) -> None:
    proc, sysfs = tree(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="12:cpuset:/\n")
    assert machine.read_memory(proc, sysfs, "linux") == machine.Memory(total=8_192_000_000, available=4_096_000_000)


def test_memory_is_that_of_the_smallest_group_above(tmp_path: Path) -> None:
    proc, sysfs = tree(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="0::/slice/app\n",
        **{
            "sys__fs__cgroup__slice__memory.max": str(1000 * MIB),
            "sys__fs__cgroup__slice__memory.current": str(700 * MIB),
            "sys__fs__cgroup__slice__memory.stat": f"anon 5\ninactive_file {100 * MIB}\n",
            "sys__fs__cgroup__slice__app__memory.max": "max\n",
            "sys__fs__cgroup__slice__app__memory.current": "1\n",
        },
    )
    memory = machine.read_memory(proc, sysfs, "linux")
    assert memory == machine.Memory(total=1000 * MIB, available=400 * MIB)


def test_memory_is_that_of_a_group_of_the_first_version(tmp_path: Path) -> None:
    proc, sysfs = tree(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="12:cpuset:/other\n9:cpu,memory:/docker/app\n1:name=systemd:/\n",
        **{
            "sys__fs__cgroup__memory__memory.limit_in_bytes": "9223372036854771712\n",
            "sys__fs__cgroup__memory__memory.usage_in_bytes": "9000000000\n",
            "sys__fs__cgroup__memory__docker__app__memory.limit_in_bytes": str(900 * MIB),
            "sys__fs__cgroup__memory__docker__app__memory.usage_in_bytes": str(800 * MIB),
            "sys__fs__cgroup__memory__docker__app__memory.stat": f"inactive_file 1\ntotal_inactive_file {50 * MIB}\n",
        },
    )
    memory = machine.read_memory(proc, sysfs, "linux")
    assert memory == machine.Memory(total=900 * MIB, available=150 * MIB)


def test_a_group_that_leads_out_of_the_container_is_read_no_further(tmp_path: Path) -> None:
    proc, sysfs = tree(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="0::/../../other\n",
        **{"sys__fs__cgroup__memory.max": "1048576\n", "sys__memory.max": "1"},
    )
    assert linux.total_memory(proc, sysfs) == MIB


def test_process_memory_is_split(tmp_path: Path) -> None:
    proc, _ = tree(tmp_path, proc__self__status=STATUS)
    assert machine.read_process(proc, "linux") == machine.ProcessMemory(
        resident=204_800_000, peak=307_200_000, anonymous=153_600_000, file=51_200_000
    )


@pytest.mark.parametrize("garbage", ["", "\0\xff: :\n\n:::\nMemTotal: x kB\nVmRSS: -1 kB\nprocessor: a\nflags:\n"])
def test_what_a_system_does_not_tell_is_none_and_nothing_breaks(tmp_path: Path, garbage: str) -> None:
    names = ["proc__cpuinfo", "proc__meminfo", "proc__self__status", "proc__self__cgroup", "sys__fs__cgroup__cpu.max"]
    proc, sysfs = tree(tmp_path, **dict.fromkeys(names, garbage))
    found = machine.read_machine(proc, sysfs, "linux")
    assert found.cpu.features == ()
    assert found.cpu.physical_cores >= 1
    assert found.memory.available is None
    assert found.process.resident is None


def test_macos_names_are_translated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = (
        "hw.physicalcpu: 8\nhw.optional.arm.FEAT_DotProd: 1\nhw.optional.arm.FEAT_I8MM: 0\n"
        "hw.optional.AdvSIMD: 1\nmachdep.cpu.brand_string: Apple M2\nhw.optional.avx2_0: 0\n"
    )
    monkeypatch.setattr(machine, "_sysctl", lambda: recorded)
    cpu = machine.read_cpu(tmp_path, tmp_path, "darwin")
    assert (cpu.name, cpu.features, cpu.physical_cores) == ("Apple M2", ("asimd", "asimddp"), 8)


def test_windows_and_a_mac_without_psutil_give_what_python_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_psutil", lambda: None)
    monkeypatch.setattr(machine, "_sysctl", lambda: "")
    for system in ("win32", "darwin"):
        found = machine.read_machine(tmp_path, tmp_path, system)
        assert found.cpu.name
        assert found.cpu.physical_cores >= 1
        assert found.memory.available is None


def test_psutil_fills_the_gaps(tmp_path: Path) -> None:
    found = machine.read_machine(tmp_path, tmp_path, "win32")
    assert (found.memory.total or 0) > (found.memory.available or 0) > 0
    assert (found.process.resident or 0) > MIB


def test_this_machine() -> None:
    found = machine.read_machine()
    assert found.is_64bit == (sys.maxsize > 2**32)
    assert 1 <= found.cpu.physical_cores <= (os.cpu_count() or 1)
    assert (found.memory.total or 0) > 64 * MIB


ALLOCATE = """
import json
import numpy
from edgekit import machine
before = machine.resident_memory()
held = numpy.ones(64 << 20, numpy.uint8)
print(json.dumps([before, machine.resident_memory(), machine.peak_memory(), int(held[-1])]))
"""


def test_the_peak_follows_what_is_allocated() -> None:
    # A process of its own: in this one, the allocator may still hold what earlier tests have given back.
    done = subprocess.run([sys.executable, "-c", ALLOCATE], check=True, capture_output=True, text=True)
    before, after, peak, _ = json.loads(done.stdout)
    assert after - before > 60 * MIB
    assert peak >= before + 60 * MIB
