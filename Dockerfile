# One image for two uses: the `m3w` command, and a worker of Beam's (Dataflow, Spark or Flink with environment_type=DOCKER).
#
#   docker build -t openm3w .
#   docker run --rm -v "$PWD:/data" openm3w build m3w --input /data/crawl.warc.gz --output /data/out --contact you@example.org
#   docker build --build-arg EXTRAS=safety,gcp -t openm3w:gcp .
#
# Beam's version here and in pyproject.toml must be the same: a worker whose SDK differs from the job's is refused.

ARG BEAM_VERSION=2.77.0
ARG PYTHON_VERSION=3.11

FROM apache/beam_python${PYTHON_VERSION}_sdk:${BEAM_VERSION} AS beam

FROM python:${PYTHON_VERSION}-slim AS build
ARG BEAM_VERSION
ARG EXTRAS=safety
WORKDIR /src
# A compiler for the modules that setup.py names; without one they would run as they are, slower.
RUN apt-get update && apt-get install --no-install-recommends --yes gcc libc6-dev && rm -rf /var/lib/apt/lists/*
COPY . .
RUN python -m venv /opt/openm3w \
    && /opt/openm3w/bin/python -m pip install --no-cache-dir --upgrade pip \
    && /opt/openm3w/bin/python -m pip install --no-cache-dir "apache-beam==${BEAM_VERSION}" ".[${EXTRAS}]"

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="OpenM3W" org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
    && apt-get install --no-install-recommends --yes ca-certificates tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 openm3w
# The boot program of Beam's workers is only in its own image, not in the wheel.
COPY --from=beam /opt/apache/beam /opt/apache/beam
COPY --from=build /opt/openm3w /opt/openm3w
# Beam starts a worker with options such as --id=...; anything else is a command of m3w.
RUN printf '%s\n' '#!/bin/sh' \
        'case "${1-}" in' \
        '--help | --version) exec m3w "$@" ;;' \
        '--*) exec /opt/apache/beam/boot "$@" ;;' \
        '*) exec m3w "$@" ;;' \
        'esac' > /usr/local/bin/openm3w-entrypoint \
    && chmod 755 /usr/local/bin/openm3w-entrypoint
# The worker uses this environment as it is, and makes none of its own.
ENV PATH=/opt/openm3w/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
USER openm3w
WORKDIR /home/openm3w
HEALTHCHECK --interval=60s --timeout=30s --retries=3 CMD ["m3w", "recipe", "check", "m3w"]
ENTRYPOINT ["tini", "--", "/usr/local/bin/openm3w-entrypoint"]
CMD ["--help"]
