"""HTTP: routes, bodies, responses and the OpenAPI document."""
