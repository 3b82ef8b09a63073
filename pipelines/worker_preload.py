"""What the server of worker processes imports, once for all of them; nothing else may import it.

Nothing of this may start a thread: it would be missing in the forked workers.
"""

import gc
import logging
import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C, which the terminal sends to all, is the driver's to answer
logging.disable(logging.ERROR)  # what goes wrong with a unit is told by the driver, once; Beam warns when imported

import typer  # noqa: E402, F401  of the command, which Python imports again in a worker, as its main module
from apache_beam.runners.worker import sdk_worker_main  # noqa: E402, F401

from pipelines import build  # noqa: E402, F401  and with it all that a unit may need

gc.freeze()  # so that the workers' collectors leave these pages alone, and share them
