"""The model that tunes the encoder: late interaction of projected tokens, differentiable.

Each text is encoded once. Two texts are compared by how well each token of one is matched by any of
the other (ColBERT's MaxSim, arXiv 2004.12832), both ways, tokens weighted by learned salience, and
by the cosine of their salience-weighted mean vectors. Serving takes over the tuned layers, the
projection and the salience (`darling_models.embedded.description.Lexicon`); the rest only teaches.
"""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import BertModel

from darling_models.embedded.encoder import Vectors
from darling_models.embedded.late_interaction import EVEN_SALIENCE, SALIENCE_CLIP

START = (4.0, 2.0, 2.0, 0.0, -5.5)
"""Weights and bias of the logit before training: near a calibrated one on frozen vectors."""
START_POOLED = (6.0, -4.5)
POOLED_LOSS = 0.5
FLOOR = 1e-4


class LateInteraction(nn.Module):
    def __init__(
        self, encoder: BertModel, token_mean: Vectors, projection: Vectors, labelers: int
    ) -> None:
        """`token_mean` (hidden,) and `projection` (hidden, width) are where training starts."""
        super().__init__()
        hidden, width = projection.shape
        self.encoder = encoder
        for module in encoder.modules():
            # Dropout in attention keeps a CPU from its fused kernel, which is three times as fast.
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        self.projection = nn.Linear(hidden, width)
        self.salience = nn.Linear(hidden, 1)
        self.logit = nn.Linear(4, 1)
        self.pooled_logit = nn.Linear(1, 1)
        self.labeler = nn.Embedding(labelers, 1)
        with torch.no_grad():
            self.projection.weight.copy_(torch.from_numpy(projection.T))
            self.projection.bias.copy_(torch.from_numpy(-(token_mean @ projection)))
            self.salience.weight.zero_()
            self.salience.bias.fill_(EVEN_SALIENCE)
            self.logit.weight.copy_(torch.tensor([START[:-1]]))
            self.logit.bias.fill_(START[-1])
            self.pooled_logit.weight.fill_(START_POOLED[0])
            self.pooled_logit.bias.fill_(START_POOLED[1])
            self.labeler.weight.zero_()

    def forward(
        self,
        windows: list[tuple[torch.Tensor, torch.Tensor]],
        places: torch.Tensor,
        lengths: list[int],
        idf: torch.Tensor,
        novelty: torch.Tensor,
        pairs: list[tuple[int, int, torch.Tensor]],
        labels: torch.Tensor,
        labelers: torch.Tensor,
        weights: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """The fields of a `Batch` to a loss; `labels` may be smoothed."""
        hidden = torch.cat([self._read(ids, mask) for ids, mask in windows])
        with torch.autocast(hidden.device.type, enabled=False):
            compared = self._compare(hidden.float()[places], lengths, idf, novelty, pairs)
            bias = self.labeler(labelers)[:, 0]
            late = self.logit(compared)[:, 0] + bias
            pooled = self.pooled_logit(compared[:, 2:3])[:, 0] + bias
            error = functional.binary_cross_entropy_with_logits
            loss = error(late, labels, weights, reduction="sum")
            loss = loss + POOLED_LOSS * error(pooled, labels, weights, reduction="sum")
        return {"loss": loss, "logits": late}

    def token_salience(self, hidden: torch.Tensor) -> torch.Tensor:
        """How much each token counts, beside its idf, shape (...) from (..., hidden)."""
        weight: torch.Tensor = self.salience(hidden)[..., 0]
        return functional.softplus(weight.clamp(-SALIENCE_CLIP, SALIENCE_CLIP))

    def _read(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token vectors laid end to end, (rows * length, hidden)."""
        output = self.encoder(input_ids=ids, attention_mask=mask)
        hidden: torch.Tensor = output.last_hidden_state
        return hidden.flatten(0, 1)

    def _compare(
        self,
        tokens: torch.Tensor,
        lengths: list[int],
        idf: torch.Tensor,
        novelty: torch.Tensor,
        pairs: list[tuple[int, int, torch.Tensor]],
    ) -> torch.Tensor:
        """(low, high, pooled cosine, low * cosine) of each pair, (all pairs, 4)."""
        directions = functional.normalize(tokens, dim=-1)
        vectors = functional.normalize(self.projection(directions), dim=-1)
        salient = self.token_salience(tokens) * idf
        sums = [part.sum(0) for part in torch.split(tokens * salient[:, None], lengths)]
        pooled = functional.normalize(torch.stack(sums), dim=-1)
        by_text = torch.split(vectors, lengths)
        weights = torch.split(salient * novelty, lengths)
        compared = []
        for first, end, at in pairs:
            group = pad_sequence(list(by_text[first:end]), batch_first=True)
            weight = pad_sequence(list(weights[first:end]), batch_first=True)
            there = weight > 0
            rows, columns = at.T
            similarity = group[rows] @ group[columns].transpose(1, 2)
            forth = similarity.masked_fill(~there[columns][:, None, :], -1).amax(2)
            back = similarity.masked_fill(~there[rows][:, :, None], -1).amax(1)
            one = _weighted(forth, weight[rows])
            other = _weighted(back, weight[columns])
            low, high = torch.minimum(one, other), torch.maximum(one, other)
            cosine = (pooled[first:end][rows] * pooled[first:end][columns]).sum(-1)
            compared.append(torch.stack([low, high, cosine, low * cosine], dim=-1))
        return torch.cat(compared)


def _weighted(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (values * weights).sum(-1) / weights.sum(-1).clamp_min(FLOOR)
