"""The memory that this process has resident. It needs the standard library alone."""

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_resident_bytes() -> int:
    """The most memory that this process has had resident since it started, in bytes.

    It never falls, so runs to compare need a process each. Data loader workers are not included.
    """
    if found := _status("VmHWM:"):
        return found
    import resource  # not on every system

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident_bytes() -> int:
    """The memory that this process has resident now, in bytes; its peak where that is unknown."""
    return _status("VmRSS:") or peak_resident_bytes()


def _status(entry: str) -> int:
    """Bytes of a line of Linux's status of this process; 0 where there is none."""
    lines = _STATUS.read_text(errors="replace").splitlines() if _STATUS.is_file() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(entry)), 0)
