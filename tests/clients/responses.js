// The openai package by its responses, conversations kept by the service.
'use strict';
const OpenAI = require('openai');
const {url, model, slow, png, limit, parameters, schema, run, failure} = require('./steps.js');

const client = new OpenAI({baseURL: url + '/v1', apiKey: 'any', maxRetries: 0, timeout: 300000});
const tools = ['first', 'second'].map((name) => ({type: 'function', name, description: 'd', parameters, strict: true}));
const create = (more) => client.responses.create({model, max_output_tokens: limit, ...more});
const calls_of = (r) => r.output.filter((item) => item.type === 'function_call');

run({
  async chat() {
    const r = await create({instructions: 'be brief', input: 'hello'});
    return {text: r.output_text, stop: r.status, tokens: r.usage.output_tokens};
  },
  async stream() {
    let seen = '', next = 0, inOrder = true, r;
    for await (const event of await create({input: 'a stream', stream: true})) {
      inOrder &&= event.sequence_number === next++;
      if (event.type === 'response.output_text.delta') seen += event.delta;
      if (event.type === 'response.completed' || event.type === 'response.incomplete') r = event.response;
    }
    const told = r.output.flatMap((item) => item.content ?? []).map((part) => part.text).join('');
    return {text: seen, stop: r.status, same: inOrder && told === seen, tokens: r.usage.output_tokens};
  },
  async tools() {
    const r = await create({input: 'call the tool', tools});
    const calls = calls_of(r);
    const results = calls.map((c) => ({type: 'function_call_output', call_id: c.call_id, output: 'done'}));
    const after = await create({previous_response_id: r.id, input: [...results, {role: 'user', content: 'and now?'}], tools});
    const streamed = calls_of(await client.responses.stream({model, input: 'call the tool again', tools}).finalResponse());
    return {
      names: calls.map((c) => c.name), inputs: calls.map((c) => JSON.parse(c.arguments)), ids: new Set(calls.map((c) => c.call_id)).size,
      stop: r.status, after: after.output_text, streamed: streamed.map((c) => JSON.parse(c.arguments)),
    };
  },
  async offered() {
    return (await create({input: 'hello', tools})).status;
  },
  async structured() {
    return (await client.responses.parse({model, input: 'say it as JSON', text: {format: {type: 'json_schema', name: 'it', strict: true, schema}}})).output_parsed;
  },
  async image() {
    const content = [{type: 'input_image', detail: 'auto', image_url: 'data:image/png;base64,' + png}, {type: 'input_text', text: 'picture'}];
    return (await create({input: [{role: 'user', content}]})).output_text;
  },
  async kept() {
    const r = await create({input: 'keep this'});
    const again = await client.responses.retrieve(r.id);
    await client.responses.delete(r.id);
    return {same: again.output_text === r.output_text, gone: await failure(() => client.responses.retrieve(r.id), (e) => ({status: e.status}))};
  },
  error: () => failure(() => create({model: 'no-such-model', input: 'x'}), (e) => ({status: e.status, message: e.message, kind: e.constructor.name})),
  async cancel() {
    const s = await client.responses.create({model: slow, input: 'leave', stream: true});
    for await (const event of s) if (event.type === 'response.output_text.delta') break;
    return true;
  },
});
