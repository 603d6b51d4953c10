// Vercel's `ai` with @ai-sdk/openai: by responses, which is its default, or by chat completions (ai_chat.js).
'use strict';
const {generateText, streamText, Output, embedMany, tool, jsonSchema} = require('ai');
const {createOpenAI} = require('@ai-sdk/openai');
const {url, model, slow, embedding, png, limit, parameters, schema, run, failure} = require('./steps.js');

const provider = createOpenAI({baseURL: url + '/v1', apiKey: 'any'});
const named = (name) => process.env.AI_API === 'chat' ? provider.chat(name) : provider(name);
const settings = {model: named(model), maxRetries: 0, maxOutputTokens: limit};
const user = (content) => ({role: 'user', content});
const tools = Object.fromEntries(['first', 'second'].map((name) => [name, tool({description: 'd', inputSchema: jsonSchema(parameters)})]));

run({
  async chat() {
    const r = await generateText({...settings, system: 'be brief', prompt: 'hello'});
    return {text: r.text, stop: r.finishReason, tokens: r.usage.outputTokens};
  },
  async stream() {
    let seen = '';
    const r = streamText({...settings, prompt: 'a stream'});
    for await (const piece of r.textStream) seen += piece;
    return {text: seen, stop: await r.finishReason, same: (await r.text) === seen, tokens: (await r.usage).outputTokens};
  },
  async tools() {
    const r = await generateText({...settings, prompt: 'call the tool', tools});
    const results = r.toolCalls.map((c) => ({type: 'tool-result', toolCallId: c.toolCallId, toolName: c.toolName, output: {type: 'text', value: 'done'}}));
    const messages = [user('call the tool'), ...r.response.messages, {role: 'tool', content: results}, user('and now?')];
    const after = await generateText({...settings, messages, tools});
    const streamed = await streamText({...settings, prompt: 'call the tool again', tools}).toolCalls;
    return {
      names: r.toolCalls.map((c) => c.toolName), inputs: r.toolCalls.map((c) => c.input), ids: new Set(r.toolCalls.map((c) => c.toolCallId)).size,
      stop: r.finishReason, after: after.text, streamed: streamed.map((c) => c.input),
    };
  },
  async offered() {
    return (await generateText({...settings, prompt: 'hello', tools})).finishReason;
  },
  async structured() {
    return (await generateText({...settings, prompt: 'say it as JSON', output: Output.object({schema: jsonSchema(schema)})})).output;
  },
  async image() {
    return (await generateText({...settings, messages: [user([{type: 'image', image: png, mediaType: 'image/png'}, {type: 'text', text: 'picture'}])]})).text;
  },
  async embeddings() {
    return (await embedMany({model: provider.textEmbeddingModel(embedding), values: ['a', 'b']})).embeddings;
  },
  error: () => failure(() => generateText({...settings, model: named('no-such-model'), prompt: 'x'}),
                       (e) => ({status: e.statusCode, message: e.message, kind: e.constructor.name})),
  async cancel() {
    const leave = new AbortController();
    const r = streamText({...settings, model: named(slow), prompt: 'leave', abortSignal: leave.signal});
    for await (const piece of r.textStream) if (piece) leave.abort();
    return true;
  },
});
