"""`darling-reward train-cross-encoder`; `darling_models.training.cross_encoder` does the work."""

import argparse

from darling_models.extras import require
from darling_service.cli.numbers import integer, number
from darling_service.cli.shared_flags import (
    PAIRS_FORMAT,
    add_device,
    add_seed,
    add_training_files,
)

NAME = "train-cross-encoder"
SUMMARY = "fine-tune a pretrained checkpoint as a classifier of pairs"
EXAMPLE = """darling-reward train-cross-encoder --base answerdotai/ModernBERT-base \\
      --pairs labels.jsonl --out my-cross-encoder --device cuda"""
EXAMPLE += PAIRS_FORMAT
EXTRA = "train"
RESUMES = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--base",
        default="",
        metavar="PATH_OR_ID",
        help="folder or hub id of the checkpoint to start from; default: all-MiniLM-L6-v2, which "
        "is installed",
    )
    add_training_files(parser, writes="checkpoint")
    parser.add_argument(
        "--max-tokens-per-text",
        type=integer(1),
        default=254,
        metavar="N",
        help="tokens read of each of the two texts; at least 1, default: 254",
    )
    parser.add_argument(
        "--template",
        help="input that the model reads for a pair, such as [CLS]{a}[SEP]{b}[SEP]; default: as "
        "its tokenizer joins two texts",
    )
    parser.add_argument(
        "--teacher-pairs",
        type=integer(0),
        default=5000,
        metavar="N",
        help="pairs drawn from --groups; at least 0, default: 5000",
    )
    parser.add_argument(
        "--epochs",
        type=integer(0),
        default=3,
        metavar="N",
        help="passes over the labelled pairs; at least 0, default: 3",
    )
    parser.add_argument(
        "--learning-rate",
        type=number(0, above=True),
        default=5e-5,
        metavar="RATE",
        help="peak learning rate; above 0, default: 5e-5",
    )
    parser.add_argument(
        "--lora",
        type=integer(0),
        default=0,
        metavar="RANK",
        help="rank of LoRA adapters; 0, the default, trains all weights",
    )
    add_device(parser)
    add_seed(parser)


def run(arguments: argparse.Namespace) -> int:
    require(EXTRA, ["accelerate", *(["peft"] if arguments.lora else [])])
    from darling_models.training.cross_encoder.command import (
        CrossEncoderRecipe,
        train_cross_encoder,
    )

    recipe = CrossEncoderRecipe(
        max_tokens_per_text=arguments.max_tokens_per_text,
        template=arguments.template,
        teacher_pairs=arguments.teacher_pairs,
        human_epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        lora=arguments.lora,
    )
    train_cross_encoder(
        arguments.base,
        arguments.pairs,
        arguments.groups,
        arguments.out,
        arguments.work,
        arguments.seed,
        recipe,
        arguments.device,
        arguments.text,
    )
    return 0
