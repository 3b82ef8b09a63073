"""A worker process of the local engine: Beam's own, without the lines that it prints at every start and every error."""

import signal
import sys


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # first: Ctrl-C is told by the driver, which ends its workers
    import logging

    logging.disable(logging.ERROR)  # what goes wrong with a unit is told by the driver, once
    from apache_beam.runners.worker import sdk_worker, sdk_worker_main  # they warn as they are imported

    sdk_worker.print = lambda *_, **__: None  # it prints the traceback that it also sends to the driver
    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
