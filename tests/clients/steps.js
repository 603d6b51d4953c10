// What the scripts beside this share: argv is the service's URL, the model, a slow model, a model of embeddings, a picture in
// base64, and the steps to run, separated by commas. One JSON object is printed: what each step saw.
'use strict';
const [url, model, slow, embedding, png, wanted] = process.argv.slice(2);
const limit = Number(process.env.MAX_TOKENS ?? 200);

const parameters = {type: 'object', properties: {echo: {type: 'string'}}, required: ['echo'], additionalProperties: false};
const schema = {type: 'object', properties: {x: {type: 'integer', minimum: 0, maximum: 99}}, required: ['x'], additionalProperties: false};

async function run(steps) {
  const out = {};
  for (const name of wanted.split(',')) out[name] = await steps[name]();
  console.log(JSON.stringify(out));
  process.exit(0);  // no kept connection holds the process
}

// The error that `act` must end with, as `tell` reads it.
async function failure(act, tell) {
  try {
    await act();
  } catch (e) {
    return tell(e);
  }
  return {status: 200, message: 'no error'};
}

module.exports = {url, model, slow, embedding, png, limit, parameters, schema, run, failure};
