"""The encoder's table: how it is made, what it costs and what it is worth. As `python -m benchmarks.encoder` with

    --time                                   microseconds of CPU for a prompt of 300 tokens
    --data DIR                               routing by the packaged table, cross-validated
    --data DIR --model DIR                   also nearness to MiniLM on prompts that the table was not fitted to
    --data DIR --texts FILE                  gathers the texts to fit to, one JSON string a line
    --model DIR --texts FILE [--out DIR]     makes the table

DIR of `--model` is a folder with all-MiniLM-L6-v2 (Apache-2.0): config.json, model.safetensors (its SHA-256 begins with
53aa5117), tokenizer.json, tokenizer_config.json, vocab.txt. DIR of `--data` holds public sets, as `NAME/*.jsonl.gz` and
`outcomes/*.parquet`; those that are fitted to are named at `gathered`.

Made with torch 2.13.0 (CPU), model2vec[distill] 0.10.0, transformers 5.24.0 and tokenizers 0.23.3, which are not among
our requirements: put them and this package into an environment of their own. One thread takes about 20 minutes.

The way: (1) model2vec runs MiniLM over every piece of its vocabulary alone, 384 numbers each. (2) MiniLM encodes the
texts; the 256 main directions of its sentence vectors are kept. (3) A linear map of the pieces' vectors and a weight
for each, smooth in the piece's rank, are fitted so that the sum over a text points where MiniLM's vector does. (4) The
rows themselves are fitted likewise; pieces that no text has stay as (3) left them. (5) Rows become int8 with a
scale each.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tierwise.scorers.encoder import DIMENSIONS, load_encoder
from tierwise.scorers.wordpiece import WordPiece

Floats = NDArray[np.float32]

TARGET = Path(__file__).parent.parent / "src/tierwise/data/encoder"
NAME = "minilm-256.npz"
TOKENS = 126  # of a text that it is fitted by; MiniLM adds one at each end
CHARACTERS = 1200  # of a text
WORDS = 90  # in a piece of a long text
HELD = 2500  # texts that the fit does not see
BATCH = 512
INVERSES = (0.0003, 0.001, 0.003, 0.01, 0.03)  # of the logistic models' regularisation
UNSEEN = {"mmlupro": 600, "ulab_llmrouter": 600, "alpacaeval1_gpt4judge": 500, "bfcl_2024_08": 300}
UNSEEN |= {"zeroeval_mathl5": 200, "zeroeval_crux": 150, "gemini_bench_humaneval": 109}


# ------------------------------------------------------------------ the texts


def rows(data: Path, name: str) -> Iterator[dict[str, Any]]:
    for file in sorted((data / name).glob("*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            yield from map(json.loads, lines)


def gather(data: Path, file: Path) -> None:
    """Write the texts, each up to `CHARACTERS`, one JSON string a line."""
    texts = [text[:CHARACTERS] for text in gathered(data) if text.strip()]
    file.write_text("".join(f"{json.dumps(text)}\n" for text in texts), encoding="utf-8")
    print(f"{file}: {len(texts):,} texts")


def gathered(data: Path) -> Iterator[str]:
    """Texts under MIT, Apache-2.0 and CC-BY: MMLU, GSM8K, CLINC150, BANKING77, AGIEval, PubMedQA, Arena-Hard."""
    for row in rows(data, "mmlu_questions_gold"):
        yield "\n".join(
            [row["question"], *(f"{letter}. {choice}" for letter, choice in zip("ABCD", row["choices"], strict=False))]
        )
    for number, row in enumerate(rows(data, "gsm8k_gold")):
        yield row["question"]
        if number % 2 == 0:
            yield re.sub(r"<<.*?>>", "", row["answer"])
    for row in (*rows(data, "clinc150"), *rows(data, "banking77")):
        yield row["text"]
    passages: dict[str, None] = {}  # several questions share one
    for row in rows(data, "agieval_english"):
        new = [piece for piece in pieces(row.get("passage") or "") if piece not in passages]
        yield from new
        passages.update(dict.fromkeys(new))
        yield "\n".join([row["question"], *(row.get("options") or ())])
    for row in rows(data, "pubmedqa_labelled"):
        yield from (row["question"], *row["context"])
    for row in (*rows(data, "arena_hard_v01_prompts"), *rows(data, "arena_hard_v2_prompts")):
        yield from pieces(row["prompt"])[:4]


def pieces(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[at : at + WORDS]) for at in range(0, len(words), WORDS)]


# ------------------------------------------------------------------ the table


class Teacher:
    """MiniLM, on one thread."""

    def __init__(self, folder: Path) -> None:
        import torch  # noqa: PLC0415 - not among our requirements
        from tokenizers import Tokenizer  # noqa: PLC0415
        from transformers import AutoModel, AutoTokenizer  # noqa: PLC0415

        torch.set_num_threads(1)
        self.torch = torch
        self.model = AutoModel.from_pretrained(folder).eval()
        self.full = AutoTokenizer.from_pretrained(folder)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")

    def pieces(self) -> Floats:
        """(vocabulary, 384): what MiniLM makes of each piece alone; zeros for what no text has, [unused7] and such."""
        from model2vec.distill import distill_from_model  # noqa: PLC0415

        made = distill_from_model(
            self.model,
            self.full,
            pca_dims=None,
            sif_coefficient=None,
            token_remove_pattern=None,
            quantize_to="float32",
            device="cpu",
        )
        known = dict(zip(made.tokens, made.embedding, strict=True))
        vectors = np.zeros((len(self.vocabulary), made.embedding.shape[1]), np.float32)
        used = [number for number, piece in enumerate(self.vocabulary) if not re.fullmatch(r"\[.+\]", piece)]
        vectors[used] = [known[self.vocabulary[number]] for number in used]
        vectors[used] -= vectors[used].mean(axis=0)
        return vectors

    def sentences(self, texts: list[str], tokens: int) -> Floats:
        """(texts, 384) at unit length, by each text's first tokens."""
        torch = self.torch
        self.tokenizer.enable_truncation(tokens + 2)
        self.tokenizer.no_padding()
        encoded = [found.ids for found in self.tokenizer.encode_batch(texts)]
        order = np.argsort([len(ids) for ids in encoded], kind="stable")
        made = np.zeros((len(texts), self.model.config.hidden_size), np.float32)
        for at in range(0, len(order), 64):
            batch = order[at : at + 64]
            ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(encoded[one]) for one in batch], batch_first=True)
            mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(encoded[one])) for one in batch], batch_first=True)
            with torch.inference_mode():
                hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            mean = (hidden * mask[..., None]).sum(1)
            made[batch] = torch.nn.functional.normalize(mean).numpy()
        return made


class Fit:
    """Rows whose sum over a text points where MiniLM's vector of the text does; see the way, (3) and (4), above."""

    def __init__(self, vectors: Floats, wanted: Floats, texts: list[NDArray[np.int64]]) -> None:
        """`vectors` (vocabulary, 384); `wanted` (texts, 256) at unit length; `texts`, each as numbers of its pieces."""
        import torch  # noqa: PLC0415 - not among our requirements

        torch.manual_seed(0)
        self.torch, self.normalize = torch, torch.nn.functional.normalize
        self.bag = torch.nn.functional.embedding_bag
        self.vectors, self.wanted, self.texts = torch.tensor(vectors), torch.tensor(wanted), texts
        self.rng = np.random.default_rng(0)
        order = self.rng.permutation(len(texts))
        self.held, self.used = order[:HELD], order[HELD:]

    def batch(self, chosen: NDArray[np.int64]) -> tuple[Any, Any]:
        """The numbers of these texts' pieces in one row, and where each text begins."""
        starts = np.cumsum([0, *(len(self.texts[one]) for one in chosen[:-1])])
        return self.torch.tensor(np.concatenate([self.texts[one] for one in chosen])), self.torch.tensor(starts)

    def nearness(self, table: Any) -> float:
        """Mean cosine to MiniLM of the texts that were held out."""
        numbers, starts = self.batch(self.held)
        with self.torch.no_grad():
            made = self.normalize(self.bag(numbers, table, starts, mode="sum"))
            return float((made * self.wanted[self.held]).sum(1).mean())

    def smooth(self, directions: Floats, steps: int = 200) -> Any:
        """(vocabulary, 256): a linear map of the vectors, and weights that are a smooth function of the rank."""
        torch = self.torch
        mapping = torch.tensor(directions).clone().requires_grad_()
        weights = torch.tensor([0.0, 1.0, 0.0, 0.0]).requires_grad_()
        rank = (torch.log(torch.arange(len(self.vectors)) + 2.0) - 8) / 2
        powers = torch.stack([rank**power for power in range(4)], dim=1)
        optimizer = torch.optim.Adam([{"params": [mapping], "lr": 2e-3}, {"params": [weights], "lr": 2e-2}])
        for _ in range(steps):
            chosen = self.rng.choice(self.used, BATCH, replace=False)
            numbers, starts = self.batch(chosen)
            scales = torch.exp(powers @ weights)[numbers]
            pooled = self.bag(numbers, self.vectors, starts, mode="sum", per_sample_weights=scales)
            loss = 1 - (self.normalize(pooled @ mapping) * self.wanted[chosen]).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return ((self.vectors @ mapping) * torch.exp(powers @ weights)[:, None]).detach()

    def rows(self, table: Any, epochs: int = 6, rate: float = 2e-3) -> Any:
        """(vocabulary, 256): each row by itself, for the direction of texts and for the cosines between them."""
        torch = self.torch
        numbers, starts = self.batch(self.held)
        table = (
            table * 20 / self.bag(numbers, table, starts, mode="sum").norm(dim=1).median()
        )  # Adam's steps are absolute
        change = torch.nn.Parameter(torch.zeros_like(table))
        optimizer = torch.optim.Adam([change], lr=rate)
        steps = len(self.used) // BATCH
        falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, epochs * steps)
        for epoch in range(epochs):
            for chosen in np.array_split(self.rng.permutation(self.used), steps):
                numbers, starts = self.batch(chosen)
                made, wanted = (
                    self.normalize(self.bag(numbers, table + change, starts, mode="sum")),
                    self.wanted[chosen],
                )
                between = ((made @ made.T - wanted @ wanted.T) ** 2).mean()
                loss = 1 - (made * wanted).sum(1).mean() + 50 * between
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                falling.step()
            near = self.nearness((table + change).detach())
            print(f"epoch {epoch + 1}: cosine to MiniLM on {HELD} held-out texts {near:.4f}")
        return (table + change).detach()


def make(model: Path, file: Path, out: Path) -> None:
    """Make the table and write it; prints its SHA-256, to be put into `tierwise.scorers.encoder`."""
    teacher = Teacher(model)
    texts = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    cutter = WordPiece(teacher.vocabulary)
    sentences = teacher.sentences(texts, TOKENS)
    directions = np.linalg.eigh(sentences.T @ sentences)[1][:, ::-1][:, :DIMENSIONS].astype(np.float32)
    wanted = sentences @ directions
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    fit = Fit(teacher.pieces(), wanted, [cutter.array(text).astype(np.int64)[:TOKENS] for text in texts])
    data = packed(fit.rows(fit.smooth(directions)).numpy(), teacher.vocabulary)
    out.mkdir(parents=True, exist_ok=True)
    (out / NAME).write_bytes(data)
    print(f"{out / NAME}: {len(data):,} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


def packed(table: Floats, vocabulary: list[str]) -> bytes:
    """The .npz file: rows as int8 with a scale each, the vocabulary as UTF-8 lines."""
    scales = (np.abs(table).max(axis=1) / 127).astype(np.float32)
    rounded = np.rint(table / np.where(scales > 0, scales, 1)[:, None]).astype(np.int8)
    lines = np.frombuffer("\n".join(vocabulary).encode(), np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, table=rounded, scales=scales, vocabulary=lines)
    return file.getvalue()


# ------------------------------------------------------------------ what it is worth


def measure(data: Path, model: Path | None) -> None:
    """Routing by the packaged table alone on MMLU and GSM8K; with `model` also nearness to MiniLM on unseen prompts."""
    encoder = load_encoder()
    for name, most in (("routellm_mmlu", 4000), ("routellm_gsm8k", 4000)):
        prompts, weak, strong = pair(data, name, most)
        areas = [apgr(gains(encoder.encode_many(prompts), weak, strong, inverse), weak, strong) for inverse in INVERSES]
        best = int(np.argmax(areas))
        print(f"{name}: n {len(prompts)}, 5-fold APGR {areas[best]:.3f} (C {INVERSES[best]}), random .500")
    if model is None:
        return
    groups = {name: unseen(data, name, most) for name, most in UNSEEN.items()}
    texts = [text for group in groups.values() for text in group]
    ours, theirs = encoder.encode_many(texts), Teacher(model).sentences(texts, 254)
    rng = np.random.default_rng(0)
    all_pairs = rng.integers(0, len(texts), (20_000, 2))
    print(
        f"cosines against MiniLM's, {len(texts)} unseen prompts: correlation {agreement(ours, theirs, all_pairs):.3f}"
    )
    starts = np.cumsum([0, *map(len, groups.values())])
    inside = [rng.integers(start, end, (3000, 2)) for start, end in itertools.pairwise(starts)]
    print(f"between prompts of the same set: {np.mean([agreement(ours, theirs, pairs) for pairs in inside]):.3f}")


def pair(data: Path, name: str, most: int) -> tuple[list[str], Floats, Floats]:
    """Prompts that RouteLLM does not call contaminated, and the scores of Mixtral-8x7B and GPT-4 on them."""
    import polars as pl  # noqa: PLC0415 - only measuring needs it

    table = pl.read_parquet(data / "outcomes" / f"{name}.parquet")
    table = table.filter(~pl.col("extra").str.contains('"contaminated": true', literal=True))
    weak = table.filter(pl.col("model").str.contains("Mixtral")).select("query_id", "prompt", weak="score")
    strong = table.filter(pl.col("model").str.contains("gpt-4")).select("query_id", strong="score")
    both = weak.join(strong, on="query_id").sort("query_id")
    chosen = np.sort(np.random.default_rng(0).choice(len(both), min(most, len(both)), replace=False))
    both = both[chosen]
    return both["prompt"].to_list(), both["weak"].to_numpy(), both["strong"].to_numpy()


def unseen(data: Path, name: str, most: int) -> list[str]:
    """Some prompts of a set that the table was not fitted to."""
    import polars as pl  # noqa: PLC0415 - only measuring needs it

    prompts = pl.read_parquet(data / "outcomes" / f"{name}.parquet")["prompt"].drop_nulls().unique().sort().to_list()
    return [prompts[number][:1500] for number in np.random.default_rng(1).permutation(len(prompts))[:most]]


def gains(vectors: Floats, weak: Floats, strong: Floats, inverse: float) -> NDArray[np.float64]:
    """P(strong good) - P(weak good) for every row, each by logistic models that were fitted to the other four folds."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - only measuring needs it
    from sklearn.model_selection import StratifiedKFold  # noqa: PLC0415

    scaled = vectors * np.sqrt(DIMENSIONS)
    found = np.zeros(len(scaled))
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(scaled, (2 * weak + strong).astype(int))
    for train, test in folds:
        for sign, good in ((1, strong > 0.5), (-1, weak > 0.5)):
            head = LogisticRegression(C=inverse, max_iter=300).fit(scaled[train], good[train])
            found[test] += sign * head.predict_proba(scaled[test])[:, 1]
    return found


def apgr(score: NDArray[np.float64], weak: Floats, strong: Floats) -> float:
    """Area under the share of the gap recovered, over the share of calls sent to the strong model; ties at random."""
    order = np.lexsort((np.random.default_rng(0).random(len(score)), -score))
    recovered = np.cumsum([0, *(strong - weak)[order]]) / (strong - weak).sum()
    return float(np.trapezoid(recovered, dx=1 / len(score)))


def agreement(ours: Floats, theirs: Floats, pairs: NDArray[np.int64]) -> float:
    """Correlation of the two models' cosines over these pairs of texts."""
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    first, second = ((rows[pairs[:, 0]] * rows[pairs[:, 1]]).sum(axis=1) for rows in (ours, theirs))
    return float(np.corrcoef(first, second)[0, 1])


# ------------------------------------------------------------------ what it costs

SENTENCE = "A train leaves Geneva at 9:40 and reaches Zurich at 12:25; how long, in minutes, does the journey take? "


def spend() -> None:
    """CPU of one prompt of about 300 tokens, and of loading."""
    start = time.process_time()
    encoder = load_encoder()
    loading = time.process_time() - start
    cutter = encoder.pieces
    prompt = SENTENCE * 12
    tokens = len(cutter.ids(prompt))
    whole, cutting = cpu(lambda: encoder.encode(prompt)), cpu(lambda: cutter.ids(prompt))
    print(f"load {loading * 1e3:.0f} ms; {tokens} tokens: {whole:.0f} us of CPU, of which cutting {cutting:.0f} us")


def cpu(run: Callable[[], object], rounds: int = 30, times: int = 100) -> float:
    """Microseconds of CPU, the median of the rounds."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(times):
            run()
        spent.append((time.process_time() - start) / times * 1e6)
    return float(np.median(spent))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time", action="store_true", help="what a prompt costs")
    parser.add_argument("--model", type=Path, help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--data", type=Path, help="folder of the public sets")
    parser.add_argument("--texts", type=Path, help="the texts to fit to")
    parser.add_argument("--out", type=Path, default=TARGET, help="where the table goes")
    chosen = parser.parse_args()
    if chosen.time:
        spend()
    elif chosen.texts and chosen.data:
        gather(chosen.data, chosen.texts)
    elif chosen.texts and chosen.model:
        make(chosen.model, chosen.texts, chosen.out)
    elif chosen.data:
        measure(chosen.data, chosen.model)
    else:
        parser.error("say --time, --data, or --model with --texts")


if __name__ == "__main__":
    main()
