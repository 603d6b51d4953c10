'use strict';
const OpenAI = require('openai');
const {url, model, slow, embedding, png, limit, parameters, schema, run, failure} = require('./steps.js');

const client = new OpenAI({baseURL: url + '/v1', apiKey: 'any', maxRetries: 0, timeout: 300000});
const user = (content) => [{role: 'user', content}];
const tools = ['first', 'second'].map((name) => ({type: 'function', function: {name, description: 'd', parameters}}));
const create = (more) => client.chat.completions.create({model, max_tokens: limit, ...more});
const text = (r) => r.choices[0].message.content;

run({
  async chat() {
    const r = await create({messages: [{role: 'system', content: 'be brief'}, ...user('hello')]});
    return {text: text(r), stop: r.choices[0].finish_reason, tokens: r.usage.completion_tokens};
  },
  async stream() {
    let seen = '';
    const s = client.chat.completions.stream({model, max_tokens: limit, messages: user('a stream'), stream_options: {include_usage: true}});
    s.on('content', (piece) => { seen += piece; });
    const r = await s.finalChatCompletion();
    return {text: seen, stop: r.choices[0].finish_reason, same: text(r) === seen, tokens: r.usage.completion_tokens};
  },
  async tools() {
    const r = await create({messages: user('call the tool'), tools});
    const message = r.choices[0].message;
    const calls = message.tool_calls;
    const results = calls.map((c) => ({role: 'tool', tool_call_id: c.id, content: 'done'}));
    const after = await create({messages: [...user('call the tool'), message, ...results, ...user('and now?')], tools});
    const streamed = await client.chat.completions.stream({model, messages: user('call the tool again'), tools}).finalChatCompletion();
    return {
      names: calls.map((c) => c.function.name), inputs: calls.map((c) => JSON.parse(c.function.arguments)),
      ids: new Set(calls.map((c) => c.id)).size, stop: r.choices[0].finish_reason, after: text(after),
      streamed: streamed.choices[0].message.tool_calls.map((c) => JSON.parse(c.function.arguments)),
    };
  },
  async offered() {
    return (await create({messages: user('hello'), tools})).choices[0].finish_reason;
  },
  async structured() {
    const r = await client.chat.completions.parse({
      model, messages: user('say it as JSON'), response_format: {type: 'json_schema', json_schema: {name: 'it', strict: true, schema}}});
    return r.choices[0].message.parsed;
  },
  async image() {
    return text(await create({messages: user([{type: 'image_url', image_url: {url: 'data:image/png;base64,' + png}}, {type: 'text', text: 'picture'}])}));
  },
  async embeddings() {
    return (await client.embeddings.create({model: embedding, input: ['a', 'b']})).data.map((d) => Array.from(d.embedding));
  },
  async models() {
    const all = [];
    for await (const m of client.models.list()) all.push(m.id);
    return all;
  },
  async completions() {
    const ask = {model, prompt: 'once upon', max_tokens: limit};
    let seen = '';
    for await (const c of await client.completions.create({...ask, stream: true})) seen += c.choices[0]?.text ?? '';
    const whole = await client.completions.create({...ask, echo: true});
    const suffix = await failure(() => client.completions.create({model, prompt: 'f(', suffix: ')'}), (e) => ({status: e.status, message: e.message}));
    return {text: seen, echoed: whole.choices[0].text, stop: whole.choices[0].finish_reason, tokens: whole.usage.completion_tokens, suffix};
  },
  error: () => failure(() => create({model: 'no-such-model', messages: user('x')}), (e) => ({status: e.status, message: e.message, kind: e.constructor.name})),
  async cancel() {
    const s = await create({model: slow, messages: user('leave'), stream: true});
    for await (const piece of s) if (piece.choices[0]?.delta?.content) break;  // leaving the loop ends the call
    return true;
  },
});
