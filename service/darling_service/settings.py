"""Settings: every choice of a running service, from `DARLING_*` variables or `serve` flags."""

from pathlib import Path
from typing import Annotated, Self, get_args

from darling_models.options import Domain, ModelOptions, Runtime, VerdictForm
from darling_models.protocol import Linkage, OperatingPoint
from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]

UNBOUNDED = 2**62

Threshold = Annotated[float, Field(ge=0, le=1)] | OperatingPoint


def _threshold(given: object) -> object:
    """One message for both forms, where pydantic would give one of each."""
    if isinstance(given, str) and given not in get_args(OperatingPoint):
        try:
            return float(given)
        except ValueError:
            names = ", ".join(get_args(OperatingPoint))
            raise ValueError(f"give a number from 0 to 1, or one of {names}") from None
    return given


SERVER_ONLY = frozenset(
    {
        *("host", "port", "api_key", "max_body_bytes", "max_queue_tokens"),
        *(
            "quality",
            "cohort_size",
            "cohort_deadline_s",
            "cohort_idle_timeout_s",
            "cohort_ttl_s",
            "cohort_bytes",
        ),
        *("request_timeout_s", "shutdown_grace_s"),
    }
)
"""Settings that mean nothing to `darling-reward score`."""


class Settings(BaseSettings):
    """Precedence: `serve` flag, then environment, then the default here."""

    model_config = SettingsConfigDict(
        env_prefix="DARLING_", env_ignore_empty=True, frozen=True, extra="forbid"
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    api_key: str | None = Field(
        None, min_length=1, description="Token that every route but health then requires."
    )

    model: str = Field("embedded", description="Default classifier; `darling-reward models` lists.")
    threshold: Annotated[Threshold | None, BeforeValidator(_threshold)] = Field(
        None,
        description="Probability above which two texts are equivalent, or the name of one: "
        "balanced, precision, recall.",
    )
    linkage: Linkage | None = Field(None, description="Default partition algorithm.")
    device: str = Field("cpu", description="Torch device of the model, such as cpu or cuda.")
    runtime: Runtime = Field(
        "auto",
        description="How an encoder or cross-encoder computes: auto, bfloat16, float32 or tiles.",
    )
    max_length: Positive | None = Field(
        None, description="Tokens of a pair that a cross-encoder reads."
    )
    max_tokens_per_text: Positive | None = Field(
        None, description="Tokens of each text that a cross-encoder reads."
    )
    pair_template: str | None = Field(
        None, description="A pair as a pairwise model is given it, such as [CLS]{a}[SEP]{b}[SEP]."
    )
    similar_label: int | None = Field(
        None, ge=0, description='Index of a cross-encoder\'s "equivalent" label.'
    )
    judge_domain: Domain = Field(
        "general", description="What an LLM judge compares: general, creative or math."
    )
    judge_verdict: VerdictForm = Field(
        "logprobs", description="How an LLM judge answers: logprobs, json, or group (one call)."
    )
    judge_api_key: str | None = Field(
        None, min_length=1, description="Bearer token for the LLM judge's server."
    )

    quality: str = Field(
        "constant",
        description="Quality for trainers that cannot send one: constant (1), label-match, "
        "math-verify, reward-model:PATH_OR_ID, or the URL of an OpenRLHF-style reward server.",
    )

    max_groups: Positive = Field(1024, description="Groups in one request.")
    max_rollouts: Positive = Field(512, description="Rollouts in one group.")
    max_pairs: Positive = Field(65_536, description="Pairs in one /v1/equivalence request.")
    max_chars: Positive = Field(
        200_000, description="Characters in one text: some 50,000 tokens, 8 s on two cores."
    )
    max_body_bytes: Positive = Field(64 * 2**20, description="Bytes in one request body.")

    max_batch_tokens: Positive = Field(
        2048, description="Tokens in one model batch: 0.3 s on two cores."
    )
    max_queue_tokens: Positive = Field(
        2_000_000, description="Tokens that may wait for the model; beyond it, 429."
    )
    cache_bytes: int = Field(
        256 * 2**20, ge=0, description="Memory for results of texts or pairs seen before."
    )
    cache_url: str | None = Field(
        None, description="Redis through which replicas share results of pairs."
    )
    cohort_size: Positive | None = Field(
        None, description="Rollouts of a cohort whose callers do not say it."
    )
    cohort_deadline_s: Seconds = Field(
        150, description="Seconds that a rollout waits for its siblings at most."
    )
    cohort_idle_timeout_s: Seconds = Field(
        30, description="Seconds without a new sibling that end a cohort of unknown size."
    )
    cohort_ttl_s: Seconds = Field(
        300, description="Seconds that a finished cohort still answers retries and late siblings."
    )
    cohort_bytes: Positive = Field(
        2 * 2**30, description="Memory for cohorts, waiting and finished; beyond it, 429."
    )
    visits_file: Path | None = Field(
        None, description="Where exploration by visits keeps its counts; default: in memory."
    )
    max_visits: Positive = Field(
        2_000_000, description="Counts of (step, prompt, answer) kept, the newest; 200 bytes each."
    )
    request_timeout_s: Seconds = Field(600, description="Seconds after which a request gets 503.")
    shutdown_grace_s: Seconds = Field(
        3, description="Seconds that requests in flight have to finish after a stop signal."
    )

    def unbounded(self) -> Self:
        """For work offline, which nobody else waits behind: no limit of queue or time."""
        return self.model_copy(
            update={"max_queue_tokens": UNBOUNDED, "request_timeout_s": float(UNBOUNDED)}
        )

    def model_options(self) -> ModelOptions:
        return ModelOptions(
            threshold=self.threshold,
            linkage=self.linkage,
            device=self.device,
            runtime=self.runtime,
            max_length=self.max_length,
            max_tokens_per_text=self.max_tokens_per_text,
            pair_template=self.pair_template,
            similar_label=self.similar_label,
            judge_domain=self.judge_domain,
            judge_verdict=self.judge_verdict,
            judge_api_key=self.judge_api_key,
        )

    def limits(self) -> dict[str, int]:
        """The limits a caller has to keep, by the names that error messages use."""
        return {
            "max_groups": self.max_groups,
            "max_rollouts": self.max_rollouts,
            "max_pairs": self.max_pairs,
            "max_chars": self.max_chars,
            "max_body_bytes": self.max_body_bytes,
            "max_queue_tokens": self.max_queue_tokens,
            "cohort_bytes": self.cohort_bytes,
        }
