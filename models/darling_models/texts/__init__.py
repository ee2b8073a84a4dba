"""Which words of a prompt and its rollouts are compared, without HTTP and without a model.

special_tokens   a text without a tokenizer's marks; which texts are blank
chat_templates   a conversation as a chat template writes it, as turns
tool_calls       a tool call as text
messages         a conversation as chat messages, as turns
rule             the option `text`: what of a rollout is compared
group            the compared texts of a prompt and its rollouts, whatever their form
"""
