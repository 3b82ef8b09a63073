# One image for two uses: the `m3w` command, and a worker of Beam's (Dataflow; Spark and Flink with environment_type=DOCKER or EXTERNAL).
#
#   docker build --tag openm3w .
#   docker run --rm --volume "$PWD:/data" --user "$(id -u)" openm3w build m3w --input /data/crawl.warc.gz --output /data/out --contact you@example.org
#   docker build --build-arg PACKAGES=gcp --tag openm3w:gcp .      # for gs:// paths and Dataflow; aws: for s3:// paths
#
# The Python packages are those of engines/container/locked-*.txt, by their digests (make container-lock makes them anew);
# nothing else is installed. Beam's version here and in pyproject.toml must be the same.

ARG BEAM_VERSION=2.77.0
ARG PYTHON_VERSION=3.11
ARG PYTHON_IMAGE=3.11.14

FROM apache/beam_python${PYTHON_VERSION}_sdk:${BEAM_VERSION} AS beam

# Not slim: it has the compiler that setup.py wants for the modules that it names.
FROM python:${PYTHON_IMAGE}-bookworm AS build
ARG PACKAGES=plain
COPY engines/container/locked-${PACKAGES}.txt /src/locked.txt
RUN python -m venv /opt/openm3w \
    && /opt/openm3w/bin/python -m pip install --no-cache-dir --require-hashes --requirement /src/locked.txt \
    && find /opt/openm3w/lib -type d -name tests -prune -exec rm -r {} +
WORKDIR /src/openm3w
COPY . .
RUN /opt/openm3w/bin/python -m pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:${PYTHON_IMAGE}-slim-bookworm
LABEL org.opencontainers.image.title="OpenM3W" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --create-home --uid 10001 openm3w
# The boot program of Beam's workers is only in its own image, not in the wheel.
COPY --from=beam /opt/apache/beam/boot /opt/apache/beam/boot
COPY --from=build /opt/openm3w /opt/openm3w
COPY engines/container/entrypoint.sh /usr/local/bin/openm3w-entrypoint
# The worker uses this environment as it is, and makes none of its own.
ENV PATH=/opt/openm3w/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
USER 10001
WORKDIR /home/openm3w
# What a process with number 1 obeys without a handler of its own: Python ends tidily by it.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5m --timeout=60s --retries=3 CMD ["m3w", "recipe", "check", "m3w"]
ENTRYPOINT ["/usr/local/bin/openm3w-entrypoint"]
CMD ["--help"]
