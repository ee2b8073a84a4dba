"""The service on a Ray cluster (`darling-reward serve --engine ray`): one Ray Serve application.

    proxies of Ray Serve --HTTP--> ingress replicas --batches--> classifier replicas
                                         |                             |
                                         +---- cohorts, visits, ---> shared --batches--+
                                               history, metrics

An ingress replica is the whole service but for what has to be one: it reads requests, queues and
batches, and makes rewards. `shared` is one process, so that the rollouts of a cohort meet whichever
replica they come to. Both ask the classifier replicas as the service asks its model processes.
Objects between them are pickled by Ray, and all of these processes belong to the service.
"""
