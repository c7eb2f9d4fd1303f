"""Become a command that dies with its parent: `tether.py PARENT_PID COMMAND…`, run as a script.

What `sagapost up` starts must not outlive it, however it ends. Linux kills the command when the
parent is gone; elsewhere the next `up` ends what the last one left. Not a `preexec_fn`: those may
deadlock in a process with threads, and the Temporal SDK has threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def tether(parent_pid: int) -> None:
    """Ask to be killed with the parent; end at once where it is already gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        sys.exit("the parent is gone")


if __name__ == "__main__":
    tether(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the command is ours, and no shell is wanted
