'use strict';
const {GoogleGenAI} = require('@google/genai');
const {url, model, slow, embedding, png, limit, parameters, schema, run, failure} = require('./steps.js');

const client = new GoogleGenAI({apiKey: 'any', httpOptions: {baseUrl: url}});
const ask = (contents, config = {}, name = model) => client.models.generateContent({model: name, contents, config: {maxOutputTokens: limit, ...config}});
const tools = [{functionDeclarations: ['first', 'second'].map((name) => ({name, description: 'd', parametersJsonSchema: parameters}))}];
const user = (...parts) => ({role: 'user', parts});

run({
  async chat() {
    const r = await ask('hello', {systemInstruction: 'be brief'});
    return {text: r.text, stop: r.candidates[0].finishReason, tokens: r.usageMetadata.candidatesTokenCount};
  },
  async stream() {
    let seen = '', stop, tokens;
    for await (const piece of await client.models.generateContentStream({model, contents: 'a stream', config: {maxOutputTokens: limit}})) {
      seen += piece.text ?? '';
      stop = piece.candidates[0].finishReason ?? stop;
      tokens = piece.usageMetadata?.candidatesTokenCount ?? tokens;
    }
    return {text: seen, stop, same: true, tokens};
  },
  async tools() {
    const r = await ask('call the tool', {tools});
    const calls = r.functionCalls;
    const results = calls.map((c) => ({functionResponse: {id: c.id, name: c.name, response: {result: 'done'}}}));
    const after = await ask([user({text: 'call the tool'}), r.candidates[0].content, user(...results, {text: 'and now?'})], {tools});
    const streamed = [];
    for await (const piece of await client.models.generateContentStream({model, contents: 'call the tool again', config: {tools}}))
      streamed.push(...(piece.functionCalls ?? []));
    return {
      names: calls.map((c) => c.name), inputs: calls.map((c) => c.args), ids: calls.length, stop: r.candidates[0].finishReason,
      after: after.text, streamed: streamed.map((c) => c.args),
    };
  },
  async offered() {
    return (await ask('hello', {tools})).candidates[0].finishReason;
  },
  async structured() {
    return JSON.parse((await ask('say it as JSON', {responseMimeType: 'application/json', responseJsonSchema: schema})).text);
  },
  async image() {
    return (await ask([user({inlineData: {mimeType: 'image/png', data: png}}, {text: 'picture'})])).text;
  },
  async embeddings() {
    return (await client.models.embedContent({model: embedding, contents: ['a', 'b']})).embeddings.map((e) => e.values);
  },
  async models() {
    const all = [];
    for await (const m of await client.models.list()) all.push(m.name);
    return all;
  },
  async count() {
    return (await client.models.countTokens({model, contents: 'count me'})).totalTokens;
  },
  error: () => failure(() => ask('x', {}, 'no-such-model'), (e) => ({status: e.status, message: e.message, kind: e.constructor.name})),
  async cancel() {
    const leave = new AbortController();
    try {
      const s = await client.models.generateContentStream({model: slow, contents: 'leave', config: {maxOutputTokens: limit, abortSignal: leave.signal}});
      for await (const piece of s) if (piece.text) leave.abort();
    } catch (e) {
      if (e.name !== 'AbortError') throw e;
    }
    return true;
  },
});
