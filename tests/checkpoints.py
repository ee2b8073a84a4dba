"""Small random checkpoints of the published architectures, saved as real ones are."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForSequenceClassification,
)

SIZE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "initializer_range": 0.5,
    "num_labels": 2,
}
POOLER: dict[str, Any] = {"pooler_hidden_size": 32}
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
QWEN = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>"]


def byte_tokenizer(folder: Path, special: list[str], **names: str) -> PreTrainedTokenizerFast:
    """One token a byte, so that white space counts; adds no special token of its own."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*special, *alphabet])}
    inner = Tokenizer(models.BPE(vocabulary, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.add_special_tokens(special)
    fast = PreTrainedTokenizerFast(tokenizer_object=inner, **names)  # type: ignore[no-untyped-call]
    fast.save_pretrained(folder)
    return fast


def bert_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    return byte_tokenizer(
        folder, BERT, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def bert(folder: Path, **config: Any) -> Any:
    """An encoder whose tokenizer writes [CLS] and [SEP], and which reads segment ids."""
    torch.manual_seed(7)
    tokenizer = bert_tokenizer(folder)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, BERT.index(name)) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    make: Any = BertForSequenceClassification
    model = make(
        BertConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=512,
            **SIZE | {"initializer_range": 0.2} | config,
        )
    )
    model.save_pretrained(folder)
    return model.eval()


def text_encoder(folder: Path) -> None:
    """A tiny stand-in for the embedded classifier's encoder, of 32 dimensions and two layers."""
    torch.manual_seed(8)
    tokenizer = bert_tokenizer(folder)
    settings = {name: value for name, value in SIZE.items() if name != "num_labels"}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=512, **settings)
    model: Any = BertModel(config, add_pooling_layer=False)
    model.save_pretrained(folder)


def deberta(folder: Path, **config: Any) -> Any:
    torch.manual_seed(3)
    tokenizer = bert_tokenizer(folder)
    model: Any = DebertaV2ForSequenceClassification(
        DebertaV2Config(
            vocab_size=len(tokenizer),
            type_vocab_size=2,
            relative_attention=True,
            max_relative_positions=64,
            position_biased_input=False,
            pos_att_type=["p2c", "c2p"],
            **SIZE,
            **POOLER,
            **config,
        )
    )
    model.save_pretrained(folder)
    return model.eval()


def modernbert(folder: Path, **config: Any) -> Any:
    torch.manual_seed(4)
    tokenizer = bert_tokenizer(folder)
    model: Any = ModernBertForSequenceClassification(
        ModernBertConfig(
            vocab_size=len(tokenizer),
            pad_token_id=0,
            cls_token_id=2,
            bos_token_id=2,
            sep_token_id=3,
            eos_token_id=3,
            max_position_embeddings=512,
            **SIZE,
            **config,
        )
    )
    model.save_pretrained(folder)
    return model.eval()


def qwen3(folder: Path, **config: Any) -> Any:
    torch.manual_seed(5)
    tokenizer = byte_tokenizer(folder, QWEN, unk_token="<unk>", pad_token="<|endoftext|>")
    make: Any = Qwen3ForSequenceClassification
    model = make(
        Qwen3Config(
            vocab_size=len(tokenizer),
            num_key_value_heads=1,
            head_dim=16,
            **SIZE | config,
        )
    )
    model.save_pretrained(folder)
    return model.eval()


def gpt2(folder: Path, **config: Any) -> Any:
    """A decoder that has learned its positions, and no more than 64 of them."""
    torch.manual_seed(6)
    tokenizer = byte_tokenizer(folder, QWEN, unk_token="<unk>", pad_token="<|endoftext|>")
    model: Any = GPT2ForSequenceClassification(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=64,
            n_embd=32,
            n_layer=2,
            n_head=2,
            **{"initializer_range": 0.5, "num_labels": 2} | config,
        )
    )
    model.save_pretrained(folder)
    return model.eval()


def tiny(kind: str, folder: Path, **config: Any) -> Any:
    """A classifier of any architecture by its `model_type`; its special tokens are RoBERTa's."""
    torch.manual_seed(7)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    tokenizer = byte_tokenizer(folder, special, **names)
    settings = SIZE | {"vocab_size": len(tokenizer), "pad_token_id": 1} | config
    make: Any = AutoModelForSequenceClassification
    model = make.from_config(AutoConfig.for_model(kind, **settings))
    model.save_pretrained(folder)
    return model.eval()


def sentence_encoder(folder: Path, kind: str, **config: Any) -> None:
    """A sentence-transformers folder around an encoder of any architecture."""
    inner = folder / "encoder"
    inner.mkdir(parents=True)
    tiny(kind, inner, **config)
    transformer = Transformer(str(inner))
    pooling = Pooling(transformer.get_embedding_dimension())
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(folder))


def spoil(folder: Path, name: str, rows: slice | int = slice(None)) -> None:
    """Makes those rows NaN in the tensor of a saved checkpoint whose name ends in `name`."""
    (path,) = folder.glob("*.safetensors")
    weights = load_file(path)
    (full,) = (one for one in weights if one.endswith(name))
    weights[full][rows] = float("nan")
    save_file(weights, path, metadata={"format": "pt"})
