"""Real Redis, real Celery workers, real files; a tiny model whose weights are random but fixed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from producer.embedded.redis_server import RedisServer
from tests.integration.s3_server import S3Server

WORDS = ["alpha", "beta", "gamma", "delta", "sort", "list", "of", "the", "a", "table", "vector", "##s", "row", "job"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with WordPiece, mean pooling and Normalize, in a sentence-transformers folder."""
    folder = tmp_path_factory.mktemp("model")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *map(str, range(10))]
    tokenizer = Tokenizer(models.WordPiece({word: at for at, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=64, **{f"{name}_token": text for name, text in names.items()}
    ).save_pretrained(folder)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=64, initializer_range=0.3,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    modules = ["Transformer", "Pooling", "Normalize"]
    listed = [
        {
            "idx": at,
            "name": str(at),
            "path": f"{at}_{kind}" if at else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for at, kind in enumerate(modules)
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 64, "do_lower_case": False}))
    for kind in ("1_Pooling", "2_Normalize"):
        (folder / kind).mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True})
    )
    return folder


def texts(count: int) -> list[str]:
    """Texts of many lengths; each holds its own number, so no two are alike."""
    return [
        f"{' '.join(WORDS[(at + step) % 9] for step in range(1 + at * 7 % 40))} {' '.join(str(at))}"
        for at in range(count)
    ]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A Parquet corpus of so many rows, with ids `doc-<number>`; made once per size."""
    folder = tmp_path_factory.mktemp("corpus")

    def make(rows: int) -> Path:
        path = folder / f"rows-{rows}.parquet"
        if not path.exists():
            pq.write_table(pa.table({"id": [f"doc-{at}" for at in range(rows)], "text": texts(rows)}), path)
        return path

    return make


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: RedisServer) -> redis.Redis:
    return redis.Redis.from_url(server.url)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 of this file's own; this process and those that it starts find it, and their credentials, in AWS_*."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.env.items():
            patch.setenv(name, value)
        yield server
    server.stop()


class Processes:
    """Starts command lines, and ends whatever is left of them and of their children."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[str]] = []
        self.env = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "XDG_STATE_HOME": str(folder / "state"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }
        self.env.pop("VECMILL_BROKER_URL", None)

    def start(self, *arguments: str | Path, **env: str) -> "subprocess.Popen[str]":
        """`vecmill ARGUMENTS` in the background, in a process group of its own."""
        return self.start_command([sys.executable, "-m", "producer", *map(str, arguments)], **env)

    def start_command(self, command: list[str], **env: str) -> "subprocess.Popen[str]":
        log = self._folder / f"process-{len(self._running)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command, env=self.env | env, cwd=self._folder, text=True, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output,
            )  # fmt: skip
        process.log = log
        self._running.append(process)
        return process

    def run(self, *arguments: str | Path, **env: str) -> "subprocess.CompletedProcess[str]":
        """`vecmill ARGUMENTS` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "producer", *map(str, arguments)], env=self.env | env, cwd=self._folder,
            text=True, capture_output=True, check=False, timeout=300,
        )  # fmt: skip

    def stop(self) -> None:
        for process in self._running:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            finally:
                process.wait()
                if process.stdout is not None:
                    process.stdout.close()


@pytest.fixture
def vecmill(tmp_path: Path) -> Iterator[Processes]:
    processes = Processes(tmp_path)
    yield processes
    processes.stop()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis and one worker for all tests that need any, and do nothing to them; the Redis's address."""
    folder = tmp_path_factory.mktemp("cluster")
    server = RedisServer(folder)
    server.start()
    processes = Processes(folder)
    processes.start("worker", "--allow-root", tmp_path_factory.getbasetemp(), "--broker", server.url, "--device", "cpu")
    yield server.url
    processes.stop()
    server.stop()


@pytest.fixture
def served(vecmill: Processes, cluster: str) -> Processes:
    """`vecmill` whose runs go to the worker of all tests: one of their own takes as long to start as the rest."""
    vecmill.env["VECMILL_BROKER_URL"] = cluster
    return vecmill


def wait_until(
    what: Callable[[], bool], *, seconds: float = 150, or_ended: "subprocess.Popen[str] | None" = None
) -> None:
    """Wait for a condition; fail with a log when a process that should bring it about has ended, or time is up."""
    deadline = time.monotonic() + seconds
    while not what():
        ended = or_ended is not None and or_ended.poll() is not None
        if ended or time.monotonic() > deadline:
            log = or_ended.log.read_text() if or_ended is not None else ""
            raise AssertionError(f"waited in vain ({'the process ended' if ended else 'time is up'}):\n{log}")
        time.sleep(0.01)
