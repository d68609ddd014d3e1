// ONNX Runtime's side of bench/networks.py: runs FOLDER/network.onnx, and answers as bench/network.cpp does.
// usage: node network_ort.cjs FOLDER THREADS N C D H W
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const ort = require('onnxruntime-node');

async function main(folder, threads, ...shape) {
  const session = await ort.InferenceSession.create(path.join(folder, 'network.onnx'), {intraOpNumThreads: Number(threads)});
  const content = fs.readFileSync(path.join(folder, 'input.f32'));
  const values = new Float32Array(content.buffer, content.byteOffset, content.length / 4);
  const x = new ort.Tensor('float32', values, shape.map(Number));
  let y = null;
  console.log('ready');
  for await (const line of readline.createInterface({input: process.stdin})) {
    const [verb, word] = line.split(' ');
    if (verb === 'run') {
      y = null;
      const began = process.hrtime.bigint();
      y = (await session.run({x})).y;
      console.log(Number(process.hrtime.bigint() - began) / 1e6);
    } else if (verb === 'output') {
      fs.writeFileSync(word, y.data);
      console.log('written');
    } else if (verb === 'peak') {
      console.log(process.resourceUsage().maxRSS * 1024);
    }
  }
}

main(...process.argv.slice(2));
