"""A worker process of the local engine: Beam's own, without the lines that it prints at every start and every error."""

import signal
import sys


def main() -> None:
    # First: Ctrl-C, which the terminal sends to all, ends a worker without a traceback. It must end it: the driver,
    # which tells what happened, waits for its workers, and one in the middle of a unit would wait for the driver.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    import logging

    logging.disable(logging.ERROR)  # what goes wrong with a unit is told by the driver, once
    from apache_beam.runners.worker import sdk_worker, sdk_worker_main  # they warn as they are imported

    sdk_worker.print = lambda *_, **__: None  # it prints the traceback that it also sends to the driver
    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
