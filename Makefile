# make demo   train, score and draw on a small dataset that is made on the spot (CPU, minutes)
# make test   lint and run the tests
# make bench  measure kernels, training and inference (CPU)
# make peers  train SimpleVTR, Mask2Former and YOLO alike and compare them in docs/peers.md (CPU, hours)
# make docs   the pages of docs/ as a site, in output/site
# make gpu    measure on a GPU, in under nine minutes, into docs/gpu.md; else a small trial of it
# Each sets up .venv first. PYTHON chooses the interpreter, 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin
PEERS := .venv-peers/bin
UV := uv==0.13.9

# make demo SEED=1 DEMO=output/demo_1 trains with another seed, into another folder; HEAD=paper, the
# paper's mask head instead of the pixel head.
SEED := 666
HEAD := pixel
DEMO := output/demo$(if $(filter paper,$(HEAD)),_paper)
ifeq ($(filter pixel paper,$(HEAD)),)
$(error HEAD is $(HEAD); it must be pixel or paper)
endif
STAGES := configs/embedded/$(if $(filter pixel,$(HEAD)),pixel_)
FRAMES := $(STAGES)frames.yaml
CLIPS := $(STAGES)clips.yaml
EASY := $(or $(DETECTRON2_DATASETS),datasets)/embedded/easy
# Idle OpenMP threads spin for a moment only: they wake up slowly, and other programs need the cores.
export GOMP_SPINCOUNT := 20000
ifdef WHEELS
export PIP_NO_INDEX := 1
export PIP_FIND_LINKS := $(abspath $(WHEELS))
export UV_NO_INDEX := 1
export UV_FIND_LINKS := $(abspath $(WHEELS))
endif

.PHONY: demo test lint bench peers gpu docs setup clean
setup: .venv/installed

# uv installs the same pinned packages several times faster than pip; pip is the fall-back, and knows pip.conf.
.venv/installed: requirements.txt requirements-dev.txt requirements-hota.txt setup.py tools/install_detectron2.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	( $(BIN)/pip install --quiet $(UV) && \
	  $(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt ) || \
	  $(BIN)/pip install --quiet -r requirements-dev.txt
	$(BIN)/pip install --quiet --no-deps -r requirements-hota.txt || echo "without HOTA, which is optional"
	$(BIN)/python tools/install_detectron2.py
	$(BIN)/pip install --quiet --no-build-isolation --no-deps --editable .
	$(BIN)/python -m simplevtr.env
	touch $@

# Every line is a command that a user can type. A demo that was interrupted goes on where it stopped.
demo: setup
	$(BIN)/python datasets/make_embedded.py --variant easy
	$(BIN)/python train_net.py --resume --config-file $(FRAMES) SEED $(SEED) OUTPUT_DIR $(DEMO)/frames
	$(BIN)/python train_net.py --resume --config-file $(CLIPS) \
	  SEED $(SEED) OUTPUT_DIR $(DEMO)/clips MODEL.WEIGHTS $(DEMO)/frames/model_final.pth \
	  DATASETS.TEST '("embedded_easy_val", "embedded_easy_long")'
	$(BIN)/python tools/visualize_results.py --overwrite --gt $(EASY)/val.json --images $(EASY)/val/JPEGImages \
	  --results $(DEMO)/clips/inference/embedded_easy_val/results.json --format sheet --max-videos 8 \
	  --output $(DEMO)/sheets
	$(BIN)/python demo/demo.py --overwrite --config-file $(CLIPS) \
	  --input $(EASY)/val/JPEGImages/video_00001 --output $(DEMO)/video_00001.mp4 \
	  --opts MODEL.WEIGHTS $(DEMO)/clips/model_final.pth
	$(BIN)/python tools/plot_curves.py --overwrite $(DEMO)/frames $(DEMO)/clips --output $(DEMO)/curves.png
	@for split in val long; do echo "$$split" && \
	  $(BIN)/python tools/evaluate.py --overwrite --gt $(EASY)/$$split.json \
	  --results $(DEMO)/clips/inference/embedded_easy_$$split/results.json --area-limits 175 275 \
	  --output $(DEMO)/scores_$$split.json || exit; done
	@echo "predicted tracks beside the true ones  $(DEMO)/sheets"
	@echo "a video with its tracks                $(DEMO)/video_00001.mp4"
	@echo "losses and AP over the training        $(DEMO)/curves.png"
	@echo "scores                                 $(DEMO)/scores_val.json, scores_long.json"
	@echo "the trained model                      $(DEMO)/clips/model_final.pth"

# A test file at a time in each of two processes.
test: setup lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/kernels.py
	$(BIN)/python benchmarks/exported_model.py --config-file configs/embedded/pretrained.yaml
	$(BIN)/python benchmarks/performance.py --threads 2 --frames 4

# The peers' packages are kept apart from ours; ultralytics' (AGPL-3.0) are optional.
.venv-peers/installed: .venv/installed benchmarks/peers/requirements.txt benchmarks/peers/requirements-ultralytics.txt
	$(PYTHON) -m venv .venv-peers
	$(BIN)/uv pip install --quiet --python $(PEERS)/python -r benchmarks/peers/requirements.txt || \
	  $(PEERS)/pip install --quiet -r benchmarks/peers/requirements.txt
	$(PEERS)/pip install --quiet --no-deps -r benchmarks/peers/requirements-ultralytics.txt || \
	  echo "without ultralytics, which is optional"
	touch $@

# What was finished earlier is not run again. make peers SEEDS=0 BUDGET=60 PAGE=output/trial.md is a trial.
SYSTEMS := paper pixel mask2former yolo
SEEDS := 0 1 2
BUDGET := 1100
PAGE := docs/peers.md
RUNS := output/peers
peers: setup .venv-peers/installed
	$(BIN)/python datasets/make_embedded.py --variant easy
	$(BIN)/python benchmarks/peers/compare.py --systems $(SYSTEMS) --seeds $(SEEDS) --budget $(BUDGET) \
	  --output $(RUNS) --page $(PAGE)

# Without a network: make gpu WHEELS=folder takes every package from the wheels in that folder.
# Without a GPU it is a small trial of itself on the CPU.
ifeq ($(shell command -v nvidia-smi),)
GPU_DEVICE := cpu
KERNELS := --small
GPU := --models pixel --frames 2 --size 32 48
GPU_PAGE := output/gpu.md
else
GPU_DEVICE := cuda
GPU := --frames 16 64 --windows 3 --ways float32 float16 bfloat16 --steps 3 --warmup 1 --expected \
  --minutes 6 --models SimpleVTR VisTR pixel SimpleVTR-2019 VisTR-2019 SimpleVTR-OVIS
GPU_PAGE := docs/gpu.md
endif
gpu: setup
	mkdir -p output
	$(BIN)/python benchmarks/kernels.py --device $(GPU_DEVICE) $(KERNELS) > output/kernels.md; kernels=$$?; \
	test $$kernels != 2 && ( echo "# Measured by make gpu"; echo; $(BIN)/python -m simplevtr.env | sed "s/^/    /"; \
	  echo; cat output/kernels.md; echo; $(BIN)/python benchmarks/performance.py --device $(GPU_DEVICE) $(GPU) \
	) > $(GPU_PAGE) && exit $$kernels

docs: setup
	$(BIN)/pip install --quiet -r requirements-docs.txt
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

clean:
	rm -rf .venv .venv-peers *.egg-info .pytest_cache .ruff_cache .mypy_cache
