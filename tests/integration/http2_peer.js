// An HTTP/2 server on clear text whose paths misbehave; prints its port.
'use strict';
const http2 = require('node:http2');
const zlib = require('node:zlib');

const half = Buffer.alloc(50000, 'x');
const text = Buffer.from('text '.repeat(100000));
const brotli = (data) => zlib.brotliCompressSync(data, {params: {[zlib.constants.BROTLI_PARAM_QUALITY]: 2}});
const packed = {gzip: zlib.gzipSync(text), br: brotli(text)};
const zeros = Buffer.alloc(16 << 20);
const bombs = {gzip: zlib.gzipSync(zeros), br: brotli(zeros)};
let requests = 0;

const server = http2.createServer();
server.on('sessionError', () => {});
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  const session = stream.session;
  const path = headers[':path'];
  const start = (more) => stream.respond({':status': 200, ...more});
  const sendHalfThen = (act) => {
    start({'content-length': 2 * half.length});
    stream.write(half, () => setTimeout(act, 20));
  };
  const coding = path.slice(1).split('-')[0];
  if (path === '/close') {  // Node says END_STREAM here: only the length tells
    sendHalfThen(() => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR));
  } else if (path === '/reset') {
    sendHalfThen(() => stream.destroy(new Error('on purpose')));
  } else if (path === '/destroy') {
    sendHalfThen(() => session.destroy());
  } else if (path === '/goaway-destroy') {
    sendHalfThen(() => { session.goaway(0); setTimeout(() => session.destroy(), 10); });
  } else if (path === '/short') {
    start({'content-length': 1000});
    stream.end('only this');
  } else if (path === '/long') {
    start({'content-length': 3});
    stream.end('more than that');
  } else if (path === '/goaway') {
    if (++requests % 10 === 0) session.close();  // GOAWAY; streams that are open finish
    start({});
    setTimeout(() => stream.end('done'), 5);
  } else if (path === '/stall') {
    start({});
    stream.write(half);
  } else if (path === '/large') {
    start({});
    stream.end(Buffer.alloc(2000000, 'l'));
  } else if (path === '/trailers') {
    stream.respond({':status': 200}, {waitForTrailers: true});
    stream.on('wantTrailers', () => stream.sendTrailers({'x-sum': '1'}));
    stream.end('body');
  } else if (path === '/echo') {
    start({});
    stream.pipe(stream);
  } else if (packed[coding]) {
    const data = path.endsWith('-bomb') ? bombs[coding]
        : path.endsWith('-cut') ? packed[coding].subarray(0, packed[coding].length / 2) : packed[coding];
    start({'content-encoding': coding});
    stream.end(data);
  } else {
    stream.respond({':status': 404}, {endStream: true});
  }
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
