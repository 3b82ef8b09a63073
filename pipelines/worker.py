"""A worker process of the local engine: Beam's own, without the dozen lines that it prints at every start."""

import logging
import sys


def main() -> None:
    logging.disable(logging.WARNING)  # errors, and what the driver raises, still reach the terminal
    from apache_beam.runners.worker import sdk_worker_main  # it warns as it is imported

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
