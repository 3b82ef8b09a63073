"""The flex template's program: one small job whose only work is to give `m3w build ... --engine dataflow`.

A template is one job, and a build is a dozen, one after the other. So the job of the template takes the place of the
machine on which the command is given: it has one worker with one thing to do. If that worker is lost Dataflow gives
the command again, which goes on where it stood.

    python -m engines.dataflow.launcher --recipe=m3w --input=gs://b/crawl/ --output=gs://b/m3w --contact=... --image=...
        --runner=DataflowRunner --project=... --region=... --temp_location=gs://b/temp [--template_location=gs://...]
"""

import argparse
import subprocess
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

OURS = ("recipe", "input", "output", "image", "media", "contact", "max_workers", "machine_type", "service_account")
"""Parameters of the template, beside Beam's own; metadata.json describes them."""
NEEDED = ("recipe", "input", "output", "image")
MACHINE = "e2-standard-2"


def command_of(given: argparse.Namespace, options: PipelineOptions) -> list[str]:
    """The command that the worker gives."""
    cloud = options.view_as(GoogleCloudOptions)
    words = ["m3w", "build", given.recipe, "--engine", "dataflow", "--project", cloud.project]
    words += ["--region", cloud.region, "--temp-location", cloud.temp_location]
    for path in given.input.split(","):
        words += ["--input", path]
    for name in OURS:
        if name not in ("recipe", "input") and (value := getattr(given, name)):
            words += [f"--{name.replace('_', '-')}", value]
    return words if given.contact else [*words, "--offline"]


def parsed(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, list[str]]:
    """Our parameters, and what is Beam's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in OURS:
        parser.add_argument(f"--{name}", default="", required=name in NEEDED)
    return parser.parse_known_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    given, rest = parsed(arguments)
    own = [f"--sdk_container_image={given.image}", "--sdk_location=container", "--no_save_main_session"]
    own += ["--num_workers=1", "--max_num_workers=1", "--autoscaling_algorithm=NONE"]
    own += ["--number_of_worker_harness_threads=1", "--experiments=no_use_multiple_sdk_containers"]
    own += [f"--worker_machine_type={MACHINE}"]
    own += [f"--service_account_email={given.service_account}"] if given.service_account else []
    options = PipelineOptions([*rest, *own])
    pipeline = beam.Pipeline(options=options)
    _ = pipeline | "command" >> beam.Create([command_of(given, options)]) | "m3w" >> beam.Map(subprocess.check_call)
    result = pipeline.run()
    if not options.view_as(GoogleCloudOptions).template_location:
        result.wait_until_finish()


if __name__ == "__main__":
    main()
