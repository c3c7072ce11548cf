// The official `@anthropic-ai/sdk` package: Messages and the count of tokens, over both wires of providers.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { jsonSchemaOutputFormat } from "@anthropic-ai/sdk/helpers/json-schema";
import { asked, bern, city, good, key, routes, url } from "./here.mjs";

const client = new Anthropic({ baseURL: url.replace(/\/v1$/, ""), apiKey: key, maxRetries: 0 });
const say = (content) => [{ role: "user", content }];
const tools = [{ name: "count", input_schema: city }];
const max_tokens = 64;

for (const model of routes) {
  test(`whole and streamed: ${model}`, async () => {
    const whole = await client.messages.create({ model, max_tokens, messages: say("Hello") });
    assert.equal(whole.content[0].text, good);
    const final = await client.messages.stream({ model, max_tokens, messages: say("Hello") }).finalMessage();
    assert.equal(final.content[0].text, good);
    assert.deepEqual([final.stop_reason, final.usage.output_tokens], ["end_turn", whole.usage.output_tokens]);
    assert.ok((await client.messages.countTokens({ model, messages: say("Hello") })).input_tokens > 0);
  });

  test(`tools: ${model}`, async () => {
    const whole = await client.messages.create({ model, max_tokens, messages: say(asked), tools });
    const use = whole.content.find((block) => block.type === "tool_use");
    assert.deepEqual([use.input, whole.stop_reason], [bern, "tool_use"]);
    const streamed = await client.messages.stream({ model, max_tokens, messages: say(asked), tools }).finalMessage();
    assert.deepEqual(streamed.content.find((block) => block.type === "tool_use").input, bern);
    const result = [{ type: "tool_result", tool_use_id: use.id, content: "12" }];
    const turns = [...say(asked), { role: "assistant", content: whole.content }, ...say(result)];
    const last = await client.messages.create({ model, max_tokens, messages: turns, tools });
    assert.equal(last.content[0].text, good);
  });

  test(`a document: ${model}`, async () => {
    const output_config = { format: jsonSchemaOutputFormat(city) };
    const found = await client.messages.parse({ model, max_tokens, messages: say(asked), output_config });
    assert.deepEqual(found.parsed_output, bern);
  });

  test(`thoughts: ${model}`, async () => {
    const thinking = { type: "enabled", budget_tokens: 1024 };
    const stream = client.messages.stream({ model, max_tokens: 2048, messages: say("think first"), thinking });
    const final = await stream.finalMessage();
    assert.deepEqual(final.content.map((block) => block.type), ["thinking", "text"]);
    assert.equal(final.content[0].thinking, "Let me see.");
  });

  test(`errors: ${model}`, async () => {
    const ask = (content) => client.messages.create({ model, max_tokens, messages: say(content) });
    await assert.rejects(client.messages.create({ model: "nothing", max_tokens, messages: say("Hello") }), (error) =>
      error instanceof Anthropic.NotFoundError && error.error.error.type === "not_found_error");
    await assert.rejects(client.messages.create({ model, max_tokens: 0, messages: say("Hello") }), Anthropic.BadRequestError);
    await assert.rejects(ask("no key"), (error) => error.status === 502 && !error.message.includes("canary"));
    await assert.rejects(ask("come to pieces"), (error) => error.status === 502);
    const torn = client.messages.stream({ model, max_tokens, messages: say("come to pieces") });
    await assert.rejects(torn.finalMessage(), Anthropic.APIError);
  });
}
