#!/bin/sh
# Beam starts a worker with options such as --id=... or --worker_pool; anything else is a command of m3w.
case "${1-}" in
    --help | --version) exec m3w "$@" ;;
    --*) exec /opt/apache/beam/boot "$@" ;;
    m3w | m3w-worker) exec "$@" ;;
    *) exec m3w "$@" ;;
esac
