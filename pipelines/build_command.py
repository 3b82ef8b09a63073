"""`m3w build`: what the command line says, made into a build."""

import sys
from enum import StrEnum
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from pipelines.console import Console

GIVEN_UP = 3
"""Exit code of a build that is complete but for what it had to give up."""


class TestFlag(StrEnum):
    """Safety checks that a test against one's own server may lift; the manifest records them."""

    LOOPBACK = "loopback"
    NO_PACING = "no-pacing"


class EngineName(StrEnum):
    """Where a build runs."""

    LOCAL = "local"
    SPARK = "spark"
    DATAFLOW = "dataflow"


class BuildCommand(TyperCommand):
    """Keeps apart what stands after `--`: click itself would mix it with stray words before it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        mark = args.index("--") if "--" in args else len(args)
        ctx.obj = args[mark + 1 :]
        return super().parse_args(ctx, args[:mark])


def build(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A shipped recipe (see `m3w recipe list`) or a TOML file.")],
    input_: Annotated[
        list[str],
        typer.Option("--input", help="WARC, Parquet or JSONL file, folder of WARCs or of saved HTML; may be repeated."),
    ],
    output: Annotated[str, typer.Option("--output", help="Folder (or gs://, s3:// address) of the data set.")],
    base_url: Annotated[str, typer.Option(help="Address that stands for a folder of saved HTML.")] = "",
    media: Annotated[
        str | None, typer.Option(help="Media store to share between builds; OUTPUT/media if not given.")
    ] = None,
    workers: Annotated[
        str,
        typer.Option(metavar="N|auto", help="Worker processes; auto: by this machine's cores and memory. Spark: N."),
    ] = "auto",
    max_deaths: Annotated[
        int, typer.Option(min=1, help="Worker processes that a page or image may kill before it is given up.")
    ] = 3,
    engine: Annotated[
        EngineName, typer.Option(help="This machine, a Spark cluster, or Dataflow (docs/engines.md).")
    ] = (EngineName.LOCAL),
    master: Annotated[str, typer.Option(help="Spark: spark://HOST:PORT, yarn, k8s://... or local[N].")] = "",
    job_server: Annotated[str, typer.Option(help="Spark: jar of Beam's job server, if Beam cannot fetch it.")] = "",
    spark_submit: Annotated[str, typer.Option(help="Spark: submit a jar for each job with this spark-submit.")] = "",
    spark_conf: Annotated[list[str] | None, typer.Option(help="Spark: a setting KEY=VALUE; may be repeated.")] = None,
    worker_command: Annotated[str, typer.Option(help="Spark: m3w-worker as executors find it.")] = "",
    project: Annotated[str, typer.Option(help="Dataflow: id of your project at Google.")] = "",
    region: Annotated[str, typer.Option(help="Dataflow: where its workers run.")] = "",
    temp_location: Annotated[str, typer.Option(help="Dataflow: gs:// folder for its own files.")] = "",
    image: Annotated[str, typer.Option(help="Dataflow: container image of the workers.")] = "",
    service_account: Annotated[str, typer.Option(help="Dataflow: account whose rights the workers have.")] = "",
    machine_type: Annotated[str, typer.Option(help="Dataflow: machines of the workers.")] = "",
    subnetwork: Annotated[str, typer.Option(help="Dataflow: network of the workers.")] = "",
    max_workers: Annotated[int, typer.Option(min=0, help="Dataflow: machines at most (0: 10).")] = 0,
    contact: Annotated[
        str, typer.Option(help="Your e-mail address or web page, told to every host that images are fetched from.")
    ] = "",
    offline: Annotated[bool, typer.Option("--offline", help="Use only images that the input itself holds.")] = False,
    connections: Annotated[int, typer.Option(min=1, help="HTTP requests at once, of each worker.")] = 32,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever OUTPUT holds.")] = False,
    keep_work: Annotated[bool, typer.Option("--keep-work", help="Leave packs and facts in OUTPUT/work.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    allow_for_test: Annotated[
        list[TestFlag] | None, typer.Option(help="Lift a safety check, for tests against a server of your own.")
    ] = None,
) -> None:
    """Build a data set: scan, select, fetch, write. Started again, it goes on where it stood.

    Options after `--` go to Beam: `m3w build m3w --input crawl/ --output out -- --runner=SparkRunner ...`
    """
    from pipelines.build import BuildOptions
    from pipelines.build import build as run_build
    from pipelines.choose import ForDataflow, ForSpark, chosen_engine, seen_from_afar
    from pipelines.fetch import Web
    from pipelines.given_up import told
    from pipelines.progress import Progress
    from pipelines.recipe import load_recipe
    from pipelines.report import print_report
    from pipelines.web.config import Agent, TestAllowances

    if context.args:
        raise ValueError(
            f"{' '.join(context.args)}: belongs to no option; repeat --input for each file, and give options of Beam's "
            "after `--`"
        )
    loaded = load_recipe(recipe)
    if not offline and not contact:
        raise ValueError(
            "images that the input does not hold are fetched from the web, and their hosts must know whom to ask: "
            "give --contact you@example.org, or --offline to use the input's own images only"
        )
    agent = None if offline else Agent(loaded.fetch.user_agent_product, version("openm3w"), contact)
    flags = allow_for_test or []
    allowances = TestAllowances(loopback=TestFlag.LOOPBACK in flags, pacing_off=TestFlag.NO_PACING in flags)
    progress = Progress(quiet)
    options = BuildOptions(
        inputs=tuple(input_),
        output=output,
        base_url=base_url,
        media=media,
        fresh=fresh,
        keep_work=keep_work,
        max_deaths=max_deaths,
    )
    words = ForSpark(
        master=master,
        job_server=job_server,
        spark_submit=spark_submit,
        spark_conf=tuple(spark_conf or ()),
        worker_command=worker_command,
    )
    of_dataflow = ForDataflow(
        project=project,
        region=region,
        temp_location=temp_location,
        image=image,
        service_account=service_account,
        machine_type=machine_type,
        subnetwork=subnetwork,
        max_workers=max_workers,
    )
    if engine == EngineName.SPARK:
        options = seen_from_afar(options)
    web = Web(agent=agent, allowances=allowances, connections=connections)
    places = (*options.inputs, options.output, options.media or "")
    with chosen_engine(engine, words, workers, loaded, context.obj, progress.say, places, of_dataflow) as chosen:
        manifest = run_build(loaded, options, chosen, web, progress)
    if not quiet:
        print_report(manifest, Console())
    if not manifest.shards:
        print(f"m3w: no document was left: `m3w report {output}` says which stages dropped them", file=sys.stderr)
        raise typer.Exit(1)
    if lost := told(manifest.funnel, output):
        print(f"m3w: {lost}", file=sys.stderr)
        raise typer.Exit(GIVEN_UP)
