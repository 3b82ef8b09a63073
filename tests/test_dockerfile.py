"""The reader of the Dockerfile that carries its steps out where no container engine is."""

from pathlib import Path

import pytest

from engines.container.dockerfile import DockerfileError, command, context, copy, instructions, pairs, stages

TEXT = """
# a comment
ARG VERSION=1.2
ARG OTHER
FROM a/b:${VERSION} AS one
RUN first \\
    # in between
    && second $VERSION
FROM c:$VERSION-$OTHER
ENV PATH=/x:$PATH \\
    B="b c"
COPY --from=one /from/${PLACE}.txt /to/
"""


def test_stages_with_their_images_and_steps() -> None:
    (one, two), before = stages(TEXT, {"OTHER": "slim"})
    assert (one.image, one.name, two.image, two.name) == ("a/b:1.2", "one", "c:1.2-slim", "1")
    assert [step.word for step in two.steps] == ["ENV", "COPY"]
    assert one.steps[0].rest.split() == ["first", "&&", "second", "$VERSION"], "the shell's own"
    assert before == {"VERSION": "1.2", "OTHER": "slim"}


def test_words_of_steps() -> None:
    assert pairs('PATH=/x:$PATH B="b c"', {"PATH": "/bin"}) == {"PATH": "/x:/bin", "B": "b c"}
    found = copy("--from=one /from/${PLACE}.txt /to/", {"PLACE": "p"})
    assert (found.stage, found.sources, found.target) == ("one", ["/from/p.txt"], "/to/")
    assert command('--interval=5m CMD ["a", "b"]') == ["a", "b"]


@pytest.mark.parametrize("text", ["FROM a\nADD b c", "RUN x", "FROM a\nONBUILD RUN x"])
def test_what_is_not_known_is_named(text: str) -> None:
    with pytest.raises(DockerfileError):
        stages(text, {})


def test_copy_with_an_option_that_is_not_known() -> None:
    with pytest.raises(DockerfileError, match="--chown=a"):
        copy("--chown=a b c", {})
    with pytest.raises(DockerfileError, match="JSON"):
        command("m3w --help")


def test_this_dockerfile_is_understood() -> None:
    text = (Path(__file__).parents[1] / "Dockerfile").read_text()
    (beam, build, last), _ = stages(text, {})
    assert beam.image.startswith("apache/beam_python") and build.image.startswith("python:")
    words = [step.word for step in last.steps]
    assert "RUN" in words and words.index("USER") < words.index("ENTRYPOINT") and "HEALTHCHECK" in words
    assert instructions(text)[-1].word == "CMD"


def test_dockerignore(tmp_path: Path) -> None:
    for name in (
        "a/x.py",
        "a/__pycache__/x.pyc",
        "a/b/y.so",
        "c/z.py",
        ".git/HEAD",
        "d/e/keep",
        "d/lose",
        "top.toml",
        "no.md",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".dockerignore").write_text("# all\n*\n!a\n!d/e\n!top.toml\n**/__pycache__\n**/*.so\n")
    assert [str(path) for path in context(tmp_path)] == ["a/x.py", "d/e/keep", "top.toml"]
    (tmp_path / ".dockerignore").write_text(".git\na/b\n*.md\n")
    kept = {str(path) for path in context(tmp_path)}
    assert kept == {".dockerignore", "a/x.py", "a/__pycache__/x.pyc", "c/z.py", "d/e/keep", "d/lose", "top.toml"}
