#!/bin/sh
# m3w-worker (pipelines/spark/boot.py) of this checkout and its .venv, whether or not the checkout is what .venv has installed.
root=$(cd "$(dirname "$0")/../.." && pwd)
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "$root/.venv/bin/python" -m pipelines.spark.boot "$@"
