'use strict';
const Anthropic = require('@anthropic-ai/sdk');
const {url, model, slow, png, limit, parameters, schema, run, failure} = require('./steps.js');

const client = new Anthropic({baseURL: url, apiKey: 'any', maxRetries: 0, timeout: 300000});
const user = (content) => [{role: 'user', content}];
const tools = ['first', 'second'].map((name) => ({name, description: 'd', input_schema: parameters}));
const create = (more) => client.messages.create({model, max_tokens: limit, ...more});
const text = (r) => r.content.filter((b) => b.type === 'text').map((b) => b.text).join('');
const calls_of = (r) => r.content.filter((b) => b.type === 'tool_use');

run({
  async chat() {
    const r = await create({system: 'be brief', messages: user('hello')});
    return {text: text(r), stop: r.stop_reason, tokens: r.usage.output_tokens};
  },
  async stream() {
    let seen = '';
    const s = client.messages.stream({model, max_tokens: limit, messages: user('a stream')});
    s.on('text', (piece) => { seen += piece; });
    const r = await s.finalMessage();
    return {text: seen, stop: r.stop_reason, same: text(r) === seen, tokens: r.usage.output_tokens};
  },
  async tools() {
    const r = await create({messages: user('call the tool'), tools});
    const calls = calls_of(r);
    const results = [...calls.map((c) => ({type: 'tool_result', tool_use_id: c.id, content: 'done'})), {type: 'text', text: 'and now?'}];
    const after = await create({messages: [...user('call the tool'), {role: 'assistant', content: r.content}, ...user(results)], tools});
    const streamed = await client.messages.stream({model, max_tokens: limit, messages: user('call the tool again'), tools}).finalMessage();
    return {
      names: calls.map((c) => c.name), inputs: calls.map((c) => c.input), ids: new Set(calls.map((c) => c.id)).size, stop: r.stop_reason,
      after: text(after), streamed: calls_of(streamed).map((c) => c.input),
    };
  },
  async offered() {
    return (await create({messages: user('hello'), tools})).stop_reason;
  },
  async structured() {
    return JSON.parse(text(await create({messages: user('say it as JSON'), output_config: {format: {type: 'json_schema', schema}}})));
  },
  async image() {
    return text(await create({messages: user([{type: 'image', source: {type: 'base64', media_type: 'image/png', data: png}}, {type: 'text', text: 'picture'}])}));
  },
  async models() {
    const all = [];
    for await (const m of client.models.list()) all.push(m.id);
    return all;
  },
  async count() {
    return (await client.messages.countTokens({model, messages: user('count me')})).input_tokens;
  },
  error: () => failure(() => create({model: 'no-such-model', messages: user('x')}), (e) => ({status: e.status, message: e.message, kind: e.constructor.name})),
  async cancel() {
    const s = client.messages.stream({model: slow, max_tokens: limit, messages: user('leave')});
    for await (const event of s) if (event.type === 'content_block_delta') break;
    s.abort();
    return true;
  },
});
