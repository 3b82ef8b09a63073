"""What `--engine dataflow` fills in and refuses, and the flex template's metadata. Needs no library of Google's."""

import argparse
import json
import re
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from engines.dataflow import launcher
from pipelines.choose import ForDataflow, ForSpark, chosen_engine
from pipelines.dataflow import (
    WHY,
    Dataflow,
    check_image,
    check_words,
    cores_of,
    dataflow_engine,
    filled_in,
    job_name,
)
from pipelines.engine import EngineError, unknown_options, where_s3_is
from pipelines.recipe import load_recipe
from pipelines.store.secrets import without_secrets

GOOD = {
    "project": "my-project",
    "region": "europe-west4",
    "temp_location": "gs://bucket/temp/",
    "image": "europe-docker.pkg.dev/my-project/m3w/openm3w:0.1.0-beam2.77.0",
}
METADATA = Path(__file__).parents[1] / "engines" / "dataflow" / "metadata.json"


def test_what_is_filled_in_is_known_to_beam_and_explained() -> None:
    filled = filled_in(Dataflow(**GOOD, service_account="a@b", subnetwork="s", machine_type="n2-standard-8"))
    assert list(filled) == list(WHY)
    assert unknown_options([f"--{name}={value}" for name, value in filled.items()]) == []
    assert filled["staging_location"] == "gs://bucket/temp/staging"
    assert (filled["worker_machine_type"], filled["max_num_workers"]) == ("n2-standard-8", "10")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"project": ""}, "give --project too"),
        ({"project": "", "region": "", "temp_location": ""}, "give --project, --region, --temp-location too"),
        ({"project": "My Project"}, "no id of a project"),
        ({"region": "Europe"}, "no region; give one such as"),
        ({"temp_location": "/tmp/x"}, "give a folder such as gs://bucket/temp"),
        ({"temp_location": "gs://x"}, "give a folder such as gs://bucket/temp"),
        ({"image": ""}, "build one from the Dockerfile"),
        ({"image": "apache/beam_python3.11_sdk:2.77.0"}, "Beam's own image, which has no OpenM3W"),
        ({"image": "example.org:5000/openm3w:beam-2.76.0"}, "made for Beam 2.76.0, and here is"),
        ({"image": "example.org/openm3w:2.70"}, "made for Beam 2.70, and here is"),
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, str], said: str) -> None:
    with pytest.raises(EngineError, match=re.escape(said)):
        check_words(Dataflow(**{**GOOD, **wrong}))


@pytest.mark.parametrize(
    "image",
    ["openm3w", "example.org:5000/openm3w", "x/openm3w:0.1.0", "x/openm3w:beam2.77", "x/y:2.77.0", "x/y@sha256:27"],
)
def test_images_that_may_do(image: str) -> None:
    check_image(image)


@pytest.mark.parametrize(
    ("options", "places", "said"),
    [
        ((), ("gs://b/in", "out", ""), "out: Dataflow's workers do not see this machine"),
        ((), ("hdfs://b/in",), "hdfs://b/in: Dataflow's workers"),
        (("--runner=DataflowRunner",), (), "--runner is what --engine dataflow gives"),
        (("--experiments=data_buffer_time_limit_ms=5",), (), "lose elements silently"),
    ],
)
def test_what_the_command_line_must_not_say(options: tuple[str, ...], places: tuple[str, ...], said: str) -> None:
    with pytest.raises(EngineError, match=re.escape(said)):
        dataflow_engine(Dataflow(**GOOD), options, places)


def test_options_of_another_engine_are_refused() -> None:
    recipe = load_recipe("demo")
    none = ForSpark(master="", job_server="", spark_submit="", spark_conf=(), worker_command="")
    recipe = load_recipe("demo")
    for name, words, said in (
        ("local", ForDataflow(temp_location="gs://b/t"), "--temp-location belongs to --engine dataflow"),
        ("dataflow", ForDataflow(), "give --project, --region"),
    ):
        with pytest.raises(EngineError, match=said), chosen_engine(name, none, "auto", recipe, [], print, (), words):
            pass
    both = chosen_engine("dataflow", none, "4", recipe, [], print, (), ForDataflow(**GOOD))
    with pytest.raises(EngineError, match="give --max-workers"), both:
        pass


def test_names() -> None:
    assert re.fullmatch(r"m3w-pages-by-text-000000-[0-9a-f]{8}", job_name("pages_by_text.000000"))
    assert [cores_of(name) for name in ("e2-standard-4", "n2-highmem-16", "custom-8-30720", "f1-micro")] == [
        4,
        16,
        8,
        1,
    ]


# --- where stores are, and what nobody may see -----------------------------------------------------------------------


def test_where_s3_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    assert where_s3_is([]) == ["--s3_endpoint_url=http://127.0.0.1:9", "--s3_region_name=eu-west-1"]
    assert where_s3_is(["--s3_region_name=x"]) == ["--s3_endpoint_url=http://127.0.0.1:9"]


def test_credentials_are_not_shown() -> None:
    words = ["--s3_secret_access_key=hush", "--s3_access_key_id", "hush", "--s3_region_name=x", "--s3_session_token"]
    assert without_secrets(words) == [
        *("--s3_secret_access_key=***", "--s3_access_key_id", "***", "--s3_region_name=x", "--s3_session_token")
    ]


# --- the flex template -----------------------------------------------------------------------------------------------


def test_the_metadata_describes_the_launcher() -> None:
    metadata = json.loads(METADATA.read_text())
    assert set(metadata) == {"name", "description", "parameters"}
    assert [parameter["name"] for parameter in metadata["parameters"]] == [
        *launcher.NEEDED,
        *(name for name in launcher.OURS if name not in launcher.NEEDED),
    ]
    for parameter in metadata["parameters"]:
        assert set(parameter) - {"isOptional"} == {"name", "label", "helpText", "regexes"}
        assert parameter.get("isOptional", False) == (parameter["name"] not in launcher.NEEDED)
        assert parameter["helpText"].endswith(".") and re.fullmatch(r"[a-zA-Z][a-zA-Z_]*", parameter["name"])
        (regex,) = parameter["regexes"]
        assert regex.startswith("^") and regex.endswith("$") and not re.match(regex, "")


def test_the_command_of_the_template() -> None:
    given, rest = launcher.parsed(
        [
            *("--recipe=m3w", "--input=gs://b/1,gs://b/2", "--output=gs://b/out", "--image=x/openm3w:1"),
            *("--max_workers=40", "--project=my-project", "--region=europe-west4", "--temp_location=gs://bucket/temp"),
        ]
    )
    command = launcher.command_of(given, PipelineOptions(rest))
    assert command[:3] == ["m3w", "build", "m3w"] and "--offline" in command
    words = dict(zip(command[3:-1:2], command[4:-1:2], strict=True))
    assert words["--max-workers"] == "40" and words["--image"] == "x/openm3w:1"
    assert command.count("--input") == 2
    given = argparse.Namespace(**{**vars(given), "contact": "me@example.org"})
    assert "--offline" not in launcher.command_of(given, PipelineOptions(rest))
