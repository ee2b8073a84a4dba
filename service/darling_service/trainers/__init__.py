"""The wire formats of trainers that call a reward over HTTP by themselves.

Each is a thin shim: it reads what the trainer sends, calls what `/v1/rollouts` (or
`/v1/equivalence`) calls, and answers as the trainer expects. What a trainer cannot say in its body,
such as the size of a group, goes into the URL's query.
"""

from fastapi import APIRouter

from darling_service.trainers import classify, nemo_gym, openrlhf, slime

router = APIRouter(tags=["trainers"])
for shim in (openrlhf, slime, nemo_gym, classify):
    router.include_router(shim.router)
