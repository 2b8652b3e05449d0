"""PyPI's openai package against a running `search-e1 serve` (openai.test.ts): URL QUESTION EXPECTED-ANSWER."""
import asyncio
import sys

import openai

url, question, expected = sys.argv[1:4]
client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
(model,) = [each.id for each in client.models.list()]
messages = [{"role": "user", "content": question}]

whole = client.chat.completions.create(model=model, messages=messages)
assert whole.choices[0].message.content == expected, whole
assert whole.choices[0].finish_reason == "stop"
assert "Search: " in whole.choices[0].message.reasoning_content
assert whole.choices[0].message.citations[0]["id"]
assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0

content, reasoning, usage = "", "", None
stream = client.chat.completions.create(
    model=model, messages=messages, stream=True, stream_options={"include_usage": True}
)
for chunk in stream:
    if chunk.choices:
        content += chunk.choices[0].delta.content or ""
        reasoning += getattr(chunk.choices[0].delta, "reasoning_content", None) or ""
    usage = chunk.usage or usage
assert content == expected, content
assert reasoning == whole.choices[0].message.reasoning_content
assert usage == whole.usage

for error, changes in [
    (openai.NotFoundError, {"model": "gpt-4"}),
    (openai.BadRequestError, {"messages": [{"role": "user", "content": "long " * 50_000}]}),
    (openai.BadRequestError, {"temperature": 5}),
    (openai.BadRequestError, {"tools": [{"type": "function", "function": {"name": "f"}}]}),
    (openai.BadRequestError, {"messages": []}),
    (openai.BadRequestError, {"n": 2}),
    (openai.BadRequestError, {"messages": [{"role": "system", "content": "Be brief."}] + messages}),
]:
    try:
        client.chat.completions.create(**{"model": model, "messages": messages, **changes})
    except error as found:
        assert found.body["message"] and found.body["type"] == "invalid_request_error", found.body
    else:
        raise AssertionError(f"{changes} was answered")


async def many() -> None:
    asynchronous = openai.AsyncOpenAI(base_url=url, api_key="none")
    answers = await asyncio.gather(
        *(asynchronous.chat.completions.create(model=model, messages=messages) for _ in range(20))
    )
    assert {answer.choices[0].message.content for answer in answers} == {expected}


asyncio.run(many())

# A stream that is left in the middle keeps nothing from those that come after it.
for _ in range(8):
    left = client.chat.completions.create(model=model, messages=messages, stream=True)
    next(iter(left))
    left.close()
again = client.chat.completions.create(model=model, messages=messages)
assert again.choices[0].message.content == expected
print(f"openai {openai.__version__}: whole, streamed, refused, twenty at once and left alone are as they should be")
