"""Which words of a prompt and its rollouts are compared, without HTTP and without a model.

special_tokens   a text without a tokenizer's marks; which texts are blank
chat_templates   a conversation as a chat template writes it, as turns
tool_calls       a tool call as text
rule             the option `text`: what of a rollout is compared
"""
