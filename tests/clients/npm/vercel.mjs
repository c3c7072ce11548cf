// Vercel's `ai` with three of its providers: openai (Responses and chat), openai-compatible, anthropic; over both wires.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { asked, bern, good, key, routes, url } from "./here.mjs";

const City = z.object({ name: z.string(), people: z.number().int() });
const opened = (apiKey) => {
  const openai = createOpenAI({ baseURL: url, apiKey });
  const compatible = createOpenAICompatible({
    name: "tierwise", baseURL: url, apiKey, includeUsage: true, supportsStructuredOutputs: true,
  });
  return {
    "openai responses": openai.responses,
    "openai chat": openai.chat,
    "openai-compatible": compatible.chatModel,
    anthropic: createAnthropic({ baseURL: url, apiKey }),
  };
};

for (const [name, provider] of Object.entries(opened(key))) {
  for (const route of routes) {
    const model = provider(route);
    const ask = (prompt, options = {}) => ({ model, prompt, maxRetries: 0, ...options });

    test(`whole and streamed: ${name}, ${route}`, async () => {
      const whole = await generateText(ask("Hello"));
      assert.equal(whole.text, good);
      const stream = streamText(ask("Hello"));
      assert.equal(await stream.text, good);
      assert.deepEqual([await stream.finishReason, (await stream.usage).outputTokens], ["stop", whole.usage.outputTokens]);
    });

    test(`tools: ${name}, ${route}`, async () => {
      const seen = [];
      const count = tool({ inputSchema: City, execute: (found) => seen.push(found) && "12" });
      const options = { tools: { count }, stopWhen: stepCountIs(3) };
      assert.equal((await generateText(ask(asked, options))).text, good);
      assert.equal(await streamText(ask(asked, options)).text, good);
      assert.deepEqual(seen, [bern, bern]);
    });

    test(`a document: ${name}, ${route}`, async () => {
      const output = Output.object({ schema: City });
      assert.deepEqual((await generateText(ask(asked, { output }))).output, bern);
      assert.deepEqual(await streamText(ask(asked, { output })).output, bern);
    });

    test(`errors: ${name}, ${route}`, async () => {
      const wrong = opened("tw-wrong")[name](route);
      const failed = (status) => (error) => APICallError.isInstance(error) && error.statusCode === status;
      await assert.rejects(generateText({ ...ask("Hello"), model: wrong }), failed(401));
      await assert.rejects(generateText({ ...ask("Hello"), model: provider("nothing") }), failed(404));
      await assert.rejects(generateText(ask("no key")), (error) => failed(502)(error) && !error.message.includes("canary"));
      const errors = [];
      const torn = streamText(ask("come to pieces", { onError: ({ error }) => errors.push(error) }));
      await torn.consumeStream();
      assert.equal(errors.length, 1);
      assert.notEqual(await torn.finishReason.catch(() => "error"), "stop");
    });
  }
}

test("embeddings", async () => {
  const models = [
    createOpenAI({ baseURL: url, apiKey: key }).embedding("cheap"),
    createOpenAICompatible({ name: "tierwise", baseURL: url, apiKey: key }).embeddingModel("cheap"),
  ];
  for (const model of models) {
    const { embeddings } = await embedMany({ model, values: ["one", "two"] });
    assert.deepEqual(embeddings.map((vector) => vector.length), [4, 4]);
  }
});
