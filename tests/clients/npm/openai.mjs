// The official `openai` package: Chat Completions, Responses, Completions, Embeddings, Models; over both wires.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { asked, bern, city, good, key, routes, url } from "./here.mjs";

const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 });
const say = (content) => [{ role: "user", content }];
const City = z.object({ name: z.string(), people: z.number().int() });
const tools = [{ type: "function", function: { name: "count", parameters: city } }];

for (const model of routes) {
  test(`chat, whole and streamed: ${model}`, async () => {
    const whole = await client.chat.completions.create({ model, messages: say("Hello") });
    assert.equal(whole.choices[0].message.content, good);
    const stream = client.chat.completions.stream({
      model, messages: say("Hello"), stream_options: { include_usage: true },
    });
    const final = await stream.finalChatCompletion();
    assert.equal(final.choices[0].message.content, good);
    assert.equal(final.usage.completion_tokens, whole.usage.completion_tokens);
  });

  test(`chat, tools: ${model}`, async () => {
    const { message } = (await client.chat.completions.create({ model, messages: say(asked), tools })).choices[0];
    assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), bern);
    const seen = [];
    const runner = client.chat.completions.runTools({
      model, stream: true, messages: say(asked),
      tools: [{
        type: "function",
        function: { name: "count", parameters: city, parse: JSON.parse, function: (found) => seen.push(found) && "12" },
      }],
    });
    assert.equal(await runner.finalContent(), good);
    assert.deepEqual(seen, [bern]);
  });

  test(`chat, a document: ${model}`, async () => {
    const response_format = zodResponseFormat(City, "city");
    const found = await client.chat.completions.parse({ model, messages: say(asked), response_format });
    assert.deepEqual(found.choices[0].message.parsed, bern);
  });

  test(`responses: ${model}`, async () => {
    const whole = await client.responses.create({ model, input: "Hello" });
    assert.equal(whole.output_text, good);
    const events = [];
    const stream = client.responses.stream({ model, input: "And then?", previous_response_id: whole.id });
    for await (const event of stream) events.push(event);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, place) => place));
    assert.equal((await stream.finalResponse()).output_text, good);
    const found = await client.responses.parse({ model, input: asked, text: { format: zodTextFormat(City, "city") } });
    assert.deepEqual(found.output_parsed, bern);
    const flat = [{ type: "function", name: "count", parameters: city, strict: true }];
    const called = await client.responses.create({ model, input: asked, tools: flat });
    assert.deepEqual(JSON.parse(called.output[0].arguments), bern);
    const output = { type: "function_call_output", call_id: called.output[0].call_id, output: "12" };
    const again = await client.responses.create({
      model, input: [{ role: "user", content: asked }, ...called.output, output], tools: flat,
    });
    assert.equal(again.output_text, good);
  });

  test(`completions: ${model}`, async () => {
    assert.equal((await client.completions.create({ model, prompt: "Hello", max_tokens: 64 })).choices[0].text, good);
  });

  test(`errors: ${model}`, async () => {
    const ask = (content, stream = false) => client.chat.completions.create({ model, messages: say(content), stream });
    await assert.rejects(client.chat.completions.create({ model: "nothing", messages: say("Hello") }), OpenAI.NotFoundError);
    await assert.rejects(new OpenAI({ baseURL: url, apiKey: "tw-wrong" }).models.list(), OpenAI.AuthenticationError);
    const wrong = { model, messages: say("Hello"), temperature: 7 };
    await assert.rejects(client.chat.completions.create(wrong), (error) => error.status === 400 && error.param === "temperature");
    await assert.rejects(ask("no key"), (error) => error.status === 502 && !error.message.includes("canary"));
    await assert.rejects(ask("come to pieces"), (error) => error.status === 502);
    const torn = await ask("come to pieces", true).catch((error) => error);
    await assert.rejects(async () => {
      if (torn instanceof Error) throw torn; // a draft that was held back
      for await (const _ of torn);
    }, OpenAI.APIError);
  });
}

test("embeddings and models", async () => {
  const { data } = await client.embeddings.create({ model: "cheap", input: ["one", "two"] });
  assert.equal(data.length, 2);
  assert.equal(data[0].embedding.length, 4);
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(routes.every((route) => names.includes(route)));
});
