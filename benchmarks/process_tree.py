"""A command and the processor time of all its processes: python -m benchmarks.process_tree COMMAND ...

A process's own accounts know only those descendants that somebody waited for, and a server of workers is often left to
end by itself. Here all that the command leaves behind are taken in and waited for. The first line on standard output is
the command's process id, the second a JSON of its exit code and of user and system seconds; what the command itself
says goes to standard error.
"""

import ctypes
import json
import os
import resource
import subprocess
import sys

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def main() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    command = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
    print(command.pid, flush=True)
    code = 0
    while True:
        try:
            pid, status = os.wait()
        except ChildProcessError:
            break
        if pid == command.pid:
            code = os.waitstatus_to_exitcode(status)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"code": code, "seconds": used.ru_utime + used.ru_stime}))


if __name__ == "__main__":
    main()
