"""Settings of a running service, from flags or from `DARLING_*` environment variables."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from darling_models.options import Domain, ModelOptions, Runtime, VerdictForm
from darling_models.protocol import Linkage, Notion, OperatingPoint
from darling_models.texts.rule import TextRule
from darling_service.key_sources import KEY_SOURCES, KeySources, blank_keys
from darling_service.logs import LogFormat, LogLevel
from darling_service.schemas.fields import Criterion
from darling_service.service_links import without_service_links

Positive = Annotated[int, Field(gt=0)]
MAX_SECONDS = 7 * 24 * 3600
"""Longest time that a setting may name, in seconds: a week, which is longer than anybody waits, and
which every timer of the system can count."""
Share = Annotated[float, Field(ge=0, le=1024, allow_inf_nan=False)]
"""Number of CPUs or GPUs, which may be a part of one."""
Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]

UNBOUNDED = 2**62
"""A limit that nothing reaches, in whatever unit; it fits a 64-bit integer."""

Threshold = Annotated[float, Field(ge=0, le=1)] | OperatingPoint


def _number_or_name(value: object) -> object:
    """Text as a number unless it names an operating point, so that a fault gets one message."""
    if isinstance(value, str) and value not in get_args(OperatingPoint):
        try:
            return float(value)
        except ValueError:
            names = ", ".join(get_args(OperatingPoint))
            raise ValueError(f"give a number from 0 to 1, or one of {names}") from None
    return value


SERVER_ONLY = frozenset(
    {
        *("host", "port", *KEY_SOURCES, "allow_no_key", "quality"),
        *("max_body_bytes", "body_bytes", "max_queue_tokens", "workers"),
        *("request_timeout_s", "shutdown_grace_s"),
        *("cohort_size", "cohort_deadline_s", "cohort_idle_timeout_s", "cohort_ttl_s"),
        *("cohort_bytes", "log_level", "log_format", "log_texts", "audit_share", "traces_url"),
        *("history_url", "history_groups", "history_bytes", "history_days"),
        *("engine", "ray_address", "ingress_replicas", "ingress_cpus", "worker_cpus"),
        "worker_gpus",
    }
)
"""Settings that have no effect on `score` and `evaluate`, which serve nobody."""


LIMITS = (
    *("max_groups", "max_rollouts", "max_pairs", "max_chars", "max_body_bytes"),
    *("body_bytes", "max_queue_tokens", "cohort_bytes"),
)
"""Settings that limit a request, in the order in which `/v1/models` shows them."""


class Settings(KeySources):
    """A flag beats the environment, which beats the default here."""

    model_config = SettingsConfigDict(
        env_prefix="DARLING_", env_ignore_empty=True, frozen=True, extra="forbid"
    )

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: Any, **named: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The usual sources, without what Kubernetes writes into the environment."""
        usual = super().settings_customise_sources(settings_cls, *sources, **named)
        for source in usual:
            if isinstance(source, EnvSettingsSource):
                source.env_vars = {**without_service_links(source.env_vars), **blank_keys()}
        return usual

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on; 0.0.0.0 accepts callers from other machines.",
    )
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    api_key: str | None = Field(
        None,
        repr=False,
        description="API key that every route but /health, /docs and /console then requires; set "
        "it when others can reach the port.",
    )
    api_key_file: Path | None = Field(
        None,
        description="File that holds the API key, such as a secret mounted into a container; set "
        "it instead of api_key.",
    )
    api_keys: str | None = Field(
        None,
        repr=False,
        description="Lines of named keys, as `darling-reward make-key` prints them; set it instead "
        "of api_key when several callers share the service.",
    )
    api_keys_file: Path | None = Field(
        None,
        description="File with the lines of named keys; set it instead of api_keys to change keys "
        "while the service runs.",
    )
    allow_no_key: bool = Field(
        False,
        description="Whether callers of other machines may go without a key; set it to true where "
        "a network that you trust, or a proxy, keeps all others out.",
    )

    model: str = Field(
        "embedded",
        description="Default classifier, such as embedded or cross-encoder:PATH_OR_ID; "
        "`darling-reward models` lists the names.",
    )
    threshold: Annotated[Threshold | None, BeforeValidator(_number_or_name)] = Field(
        None,
        description="Probability above which two texts are equivalent, or an operating point "
        "(balanced, precision, recall). Unset: the model's own; raise it if different texts are "
        "merged.",
    )
    linkage: Linkage | None = Field(
        None,
        description="Default partition algorithm: single, average, complete or greedy; single "
        "reproduces the published partition. Unset: the model's own; greedy for `evaluate`.",
    )
    text: TextRule = Field(
        "answer",
        description="What of a rollout is compared unless a request says otherwise: answer (what "
        "follows the reasoning, of the policy's own words), last (the same of its last turn), "
        "reasoning, assistant (all its own words) or all (tools' output, too).",
    )
    notion: Notion | None = Field(
        None,
        description="What makes two texts equivalent unless a request says otherwise: answer (they "
        "say the same, by whatever method) or approach (they use the same method). Unset: the "
        "model's own; set approach to reward different ways to one answer.",
    )
    device: str = Field("cpu", description="Torch device of the model, such as cpu or cuda.")
    workers: Positive = Field(
        1,
        description="Processes that compute a local model, each with a copy of it and its part of "
        "the cores; 1 computes in the service itself. Raise it where one process "
        "does not fill the cores. With engine ray, replicas of the model on the cluster.",
    )
    engine: Literal["local", "ray"] = Field(
        "local",
        description="Where the service runs: local (this machine) or ray (a Ray cluster, by Ray "
        "Serve; needs the extra ray). Set ray when one machine is too small.",
    )
    ray_address: str | None = Field(
        None,
        min_length=1,
        description="Address of the Ray cluster that engine ray uses, such as auto or "
        "10.0.0.5:6379. Unset: a cluster of its own on this machine.",
    )
    ingress_replicas: Positive = Field(
        1,
        description="Processes that answer requests with engine ray. Raise it when one, on one "
        "core, no longer reads and batches what comes.",
    )
    ingress_cpus: Share = Field(
        0.5,
        description="CPUs that Ray reserves for each ingress replica, and for the process that "
        "keeps cohorts.",
    )
    worker_cpus: Share = Field(
        1,
        description="CPUs that Ray reserves for each of the `workers`, which compute with as many "
        "threads, at least one.",
    )
    worker_gpus: Share = Field(
        0,
        description="GPUs, or a part of one, that Ray reserves for each of the `workers`, such as "
        "0.25; set it with device cuda.",
    )
    runtime: Runtime = Field(
        "auto",
        description="Precision and batching of an encoder or cross-encoder: auto, bfloat16, "
        "float32 or tiles. Set float32 when unlike machines must answer alike.",
    )
    kernels: str = Field(
        "auto",
        description="Kernels of an encoder or cross-encoder that runs packed on a CPU: auto tries "
        "them when the model is loaded. To make a fleet of equal machines choose alike, set what "
        "/v1/models shows as kernels of one, such as rows=16,pack=1024,whole=fffff,odd=ffppp.",
    )
    model_timeout_s: Seconds = Field(
        60,
        description="Seconds that one batch of the model or one step of comparing may take, or one "
        "answer of a model server, an LLM judge or a reward server; beyond, the request gets 503. "
        "Raise it for a judge that reasons.",
    )
    max_length: Positive | None = Field(
        None,
        description="Tokens that a cross-encoder reads of a pair, embeddings of a text, and a "
        "reward model of a conversation; the rest is cut. Unset: what its checkpoint was made for.",
    )
    max_tokens_per_text: Positive | None = Field(
        None,
        description="Tokens of each text that a cross-encoder reads; the rest is cut. Unset: what "
        "its checkpoint was made for.",
    )
    pair_template: str | None = Field(
        None,
        description="Input that a pairwise model reads for a pair, such as [CLS]{a}[SEP]{b}[SEP]. "
        "Unset: what the checkpoint or tokenizer says, or BERT's for a remote server.",
    )
    similar_label: int | None = Field(
        None,
        ge=0,
        description='Index of the "equivalent" label, such as 1. Unset: read from the config of a '
        "cross-encoder; the last label of a remote server.",
    )
    judge_domain: Domain = Field(
        "general",
        description="Kind of answers that an LLM judge compares: general or creative.",
    )
    judge_criterion: Criterion | None = Field(
        None,
        description="When two texts are the same to an LLM judge, in place of its own words for "
        "the notion. Requests may say their own.",
    )
    judge_verdict: VerdictForm = Field(
        "logprobs",
        description="Form of an LLM judge's answer: logprobs, json (for servers without "
        "log-probabilities) or group (one call per group).",
    )
    judge_parameters: str | None = Field(
        None,
        description="JSON object of parameters in the request to an LLM judge; null leaves one "
        'out, as in {"max_completion_tokens": 4096, "max_tokens": null}. Set it when the server '
        "refuses a parameter, or for a judge that reasons before it answers.",
    )
    judge_api_key: str | None = Field(
        None, min_length=1, repr=False, description="Bearer token for the LLM judge's server."
    )

    quality: str = Field(
        "constant",
        description="Quality source for trainers that cannot send quality: constant (1), "
        "label-match, math-verify, reward-model:PATH_OR_ID, or the URL of an OpenRLHF-style reward "
        "server.",
    )

    max_groups: Positive = Field(
        1024, description="Limit of groups in one request; raise it for trainers with big batches."
    )
    max_rollouts: Positive = Field(
        512,
        description="Limit of rollouts in one group; pairs grow with its square, so 512 mean "
        "130,816.",
    )
    max_pairs: Positive = Field(
        65_536, description="Limit of pairs in one /v1/equivalence request."
    )
    max_chars: Positive = Field(
        200_000,
        description="Limit of characters in one text: about 50,000 tokens, 8 s on two cores.",
    )
    max_body_bytes: Positive = Field(
        64 * 2**20,
        description="Limit of bytes in one request body, decompressed; raise it with max_groups.",
    )

    body_bytes: Positive = Field(
        256 * 2**20,
        description="Memory in bytes for the bodies of all requests that are read and answered, as "
        "sent and decompressed; one beyond it gets 429. Raise it with max_body_bytes.",
    )

    max_batch_tokens: Positive = Field(
        2048,
        description="Limit of tokens in one model batch: 0.3 s on two cores. Raise it: with "
        "remote models say to 65536, on a GPU to 500000.",
    )
    max_queue_tokens: Positive = Field(
        2_000_000,
        description="Limit of tokens that wait for the model, of requests of about one size; one "
        "beyond it gets 429. Lower it to refuse earlier.",
    )
    cache_bytes: int = Field(
        256 * 2**20,
        ge=0,
        description="Memory in bytes for results of texts or pairs seen before; 0 keeps none.",
    )
    cache_url: str | None = Field(
        None,
        repr=False,
        description="URL of a Redis through which replicas share results of pairs, such as "
        "redis://cache:6379/0. Unset: not shared.",
    )
    cohort_size: Positive | None = Field(
        None,
        description="Number of rollouts in a cohort whose callers do not send group_size; set it "
        "for NeMo-Gym.",
    )
    cohort_deadline_s: Seconds = Field(
        150,
        description="Seconds that a rollout waits for its siblings unless its caller sends "
        "deadline_s; keep it below the trainer's time-out.",
    )
    cohort_idle_timeout_s: Seconds = Field(
        30,
        description="Seconds without a new sibling after which a cohort of unknown size is scored; "
        "raise it if rollouts take longer.",
    )
    cohort_ttl_s: Seconds = Field(
        300,
        description="Seconds that a scored cohort is kept to answer retries and late siblings; "
        "keep it above the trainer's retry time.",
    )
    cohort_bytes: Positive = Field(
        2 * 2**30,
        description="Memory in bytes for waiting and scored cohorts; a rollout beyond it gets 429. "
        "A waiting rollout takes about 48 KiB and its texts.",
    )
    visits_file: Path | None = Field(
        None,
        description="File of the counts for exploration by visits, so that they survive a restart. "
        "Unset: kept in memory.",
    )
    max_visits: Positive = Field(
        2_000_000,
        description="Limit of visit counts (step, prompt, answer) of each API key, about 200 bytes "
        "each; the oldest are dropped.",
    )
    history_url: str | None = Field(
        None,
        repr=False,
        description="Store of the runs' history, such as sqlite:////var/lib/darling/history.db, or "
        "a postgresql:// URL (extra postgres). Unset: none is kept.",
    )
    history_groups: int = Field(
        4,
        ge=0,
        le=1000,
        description="Whole groups, with their texts, that the history keeps of each step, drawn at "
        "random; 0 keeps no texts.",
    )
    history_bytes: int = Field(
        2**30,
        ge=0,
        description="Bytes of whole groups that the history keeps of each API key; the oldest are "
        "dropped. Raise it to look at long runs.",
    )
    history_days: float = Field(
        90,
        gt=0,
        le=36_500,
        description="Days that the history is kept; lower it where texts must not be kept so long.",
    )
    request_timeout_s: Seconds = Field(
        600,
        description="Seconds after which a request gets 503; keep it below the time-outs of "
        "proxies.",
    )
    shutdown_grace_s: Seconds = Field(
        3,
        description="Seconds that requests in flight have to finish after a stop signal; those "
        "left get 503.",
    )

    audit_share: float = Field(
        0,
        ge=0,
        le=1,
        description="Part of the requests that are scored again, each by itself, and compared bit "
        "for bit while nothing else is to do: 0 (none) to 1. Set 0.01 to watch a long run.",
    )
    log_level: LogLevel = Field(
        "info",
        description="Lowest level of what is logged: debug (health checks, too), info (a line for "
        "each request), warning (failures alone) or error.",
    )
    log_format: LogFormat = Field(
        "plain",
        description="Form of the log: plain lines, or json (an object a line) for a collector.",
    )

    log_texts: bool = Field(
        False,
        description="Whether the traceback of an unexpected fault ends with its message, which may "
        "quote a prompt or a rollout; set it to true to look for the cause of one.",
    )
    traces_url: str | None = Field(
        None,
        description="URL to which OpenTelemetry traces are sent, such as "
        "http://collector:4318/v1/traces; needs the extra otel. Unset: none are made.",
    )

    def unbounded(self) -> Self:
        """These settings without limits of queue and time, in one process, for offline work."""
        return self.model_copy(
            update={
                "max_queue_tokens": UNBOUNDED,
                "request_timeout_s": float(UNBOUNDED),
                "workers": 1,
            }
        )

    def model_options(self) -> ModelOptions:
        """The settings that a classifier is loaded with; each option is the setting of its name."""
        return ModelOptions(**{one.name: getattr(self, one.name) for one in fields(ModelOptions)})

    def limits(self) -> dict[str, int]:
        """Limits on a request, by the names that error messages use."""
        return {name: getattr(self, name) for name in LIMITS}
