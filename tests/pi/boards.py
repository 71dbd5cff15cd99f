"""Two Raspberry Pis, as far as a program can see them: what their kernels say in /proc and /sys.

Engines choose their kernels by these files, so they must fit the processor that is emulated: the features of a Pi 5
told by a Pi 4 end in an illegal instruction, and those of the host in a crash at import.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CORES = 4


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board."""

    name: str
    model: str
    """As its device tree says it."""
    cpu: str
    """As QEMU calls the processor."""
    features: str
    """As Linux names what the processor has."""
    midr: int
    """The processor's identification register: implementer, variant, architecture, part, revision."""
    frequency: int
    """The highest, in kHz."""
    memory: int
    """Total kilobytes that a board of 4 (or 8) GB leaves to Linux."""

    def write(self, root: Path) -> None:
        """Write /proc and /sys below a root."""
        for path, text in {**self._proc(), **self._sys()}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")

    def _proc(self) -> dict[str, str]:
        variant, part, revision = self.midr >> 20 & 0xF, self.midr >> 4 & 0xFFF, self.midr & 0xF
        cores = [
            f"processor\t: {number}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\nCPU implementer\t: 0x41\n"
            f"CPU architecture: 8\nCPU variant\t: 0x{variant:x}\nCPU part\t: 0x{part:03x}\nCPU revision\t: {revision}\n"
            for number in range(CORES)
        ]
        return {
            "proc/cpuinfo": "\n".join([*cores, f"Model\t\t: {self.model}\n"]),
            "proc/device-tree/model": f"{self.model}\0",
            "proc/meminfo": f"MemTotal: {self.memory} kB\nMemAvailable: {self.memory * 9 // 10} kB\n",
        }

    def _sys(self) -> dict[str, str]:
        folder = "sys/devices/system/cpu"
        files = {f"{folder}/{name}": f"0-{CORES - 1}\n" for name in ("possible", "present", "online")}
        for number in range(CORES):
            core = f"{folder}/cpu{number}"
            files |= {
                f"{core}/regs/identification/midr_el1": f"0x{self.midr:016x}\n",
                f"{core}/topology/core_id": f"{number}\n",
                f"{core}/topology/physical_package_id": "0\n",
                f"{core}/topology/core_cpus_list": f"{number}\n",
                f"{core}/topology/thread_siblings_list": f"{number}\n",
                f"{core}/topology/core_siblings_list": f"0-{CORES - 1}\n",
                f"{core}/topology/package_cpus_list": f"0-{CORES - 1}\n",
                f"{core}/cpufreq/cpuinfo_max_freq": f"{self.frequency}\n",
            }
        return files


BOARDS = (
    Board(
        name="pi4",
        model="Raspberry Pi 4 Model B Rev 1.4",
        cpu="cortex-a72",
        features="fp asimd evtstrm crc32 cpuid",
        midr=0x410FD083,
        frequency=1_800_000,
        memory=3_884_360,
    ),
    Board(
        name="pi5",
        model="Raspberry Pi 5 Model B Rev 1.0",
        cpu="cortex-a76",
        features="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp",
        midr=0x414FD0B1,
        frequency=2_400_000,
        memory=8_245_136,
    ),
)
